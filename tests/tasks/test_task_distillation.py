"""Task distillation: the layers first, then the predictions."""

import copy
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from kinds import classification, multiple_choice
from torch.nn import functional as F  # noqa: N812

from nlptool.data.batches import Batch
from nlptool.data.pair_inputs import TextPairDataset
from nlptool.models.base import Inputs
from nlptool.tasks.base import TaskObjective
from nlptool.tasks.distillation import IntermediateDistillation, PredictionDistillation
from nlptool.text.row_template import for_decoder
from nlptool.text.tokenizer import Tokenizer

CLASSES = ("classification", classification.VARIANTS["classes-of-two-texts"])
NUMBERS = ("classification", classification.VARIANTS["numbers-of-two-texts"])
CHOICES = ("multiple_choice", multiple_choice.VARIANTS["a-list-of-three"])


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.fixture
def teacher(tokenizer: Tokenizer) -> TaskObjective:
    """Of four layers, and dropout that must never be seen."""
    return small.build(*CLASSES, tokenizer, seed=1, layers=4, dropout=0.5)


@pytest.fixture
def rows(teacher: TaskObjective, tokenizer: Tokenizer, tmp_path: Path) -> TextPairDataset:
    return teacher.dataset(small.encoded(*CLASSES, tokenizer, tmp_path), small.LENGTH)


def student(tokenizer: Tokenizer, **model) -> TaskObjective:
    return small.build(*CLASSES, tokenizer, **model)


def total(objective, batches: list[Batch]) -> dict[str, torch.Tensor]:
    """Mean of each term over all batches."""
    sums = [objective(batch) for batch in batches]
    counts = {term: sum(batch.counts[term] for batch in batches) for term in objective.weights}
    return {term: sum(found[term] for found in sums) / count for term, count in counts.items()}


def test_the_loss_of_layers_is_that_of_each_row_by_itself_without_padding(teacher, rows, tokenizer):
    """Sums over layers of F.mse_loss, as in TinyBERT's code, where rows of one length have no padding."""
    own = student(tokenizer)
    intermediate_objective, model, other = (
        IntermediateDistillation(own, teacher.backbone, (2, 4)),
        own.backbone,
        teacher.backbone.eval(),
    )
    batches = small.all_rows(intermediate_objective, rows, 8)
    found, hidden, attention, tokens, pairs = total(intermediate_objective, batches), 0.0, 0.0, 0, 0
    for batch in small.all_rows(own, rows, 1):
        n = int(batch["lengths"])
        mine, theirs = (
            part.trace(Inputs(ids=batch["ids"], token_type_ids=batch["types"]), scores={1, 2, 4})
            for part in (model, other)
        )
        for i, j in ((0, 0), (1, 2), (2, 4)):
            hidden += n * F.mse_loss(mine.states[i], theirs.states[j])
        for i, j in ((1, 2), (2, 4)):
            attention += n * n * F.mse_loss(mine.scores[i], theirs.scores[j])
        tokens, pairs = tokens + n, pairs + n * n
    assert found["hidden"].item() == pytest.approx(hidden.item() / tokens, rel=1e-5)
    assert found["attention"].item() == pytest.approx(attention.item() / pairs, rel=1e-5)


def test_of_decoders_scores_are_compared_with_what_stands_before(tokenizer, tmp_path: Path):
    tokenizer = for_decoder(tokenizer, tokenizer.special["eos"])
    own = small.build(*CLASSES, tokenizer, name="gpt2", layers=1)
    teacher = small.build(*CLASSES, tokenizer, seed=1, name="gpt2").backbone.eval()
    learning = IntermediateDistillation(own, teacher, (2,))
    rows = own.dataset(small.encoded(*CLASSES, tokenizer, tmp_path, 8, name="gpt2"), small.LENGTH)
    (batch,) = small.all_rows(learning, rows, 8)
    expected, pairs = 0.0, 0
    for one in small.all_rows(own, rows, 1):
        n = int(one["lengths"])
        mine, theirs = (part.trace(Inputs(ids=one["ids"]), {1, 2}) for part in (own.backbone, teacher))
        before = torch.ones(n, n, dtype=torch.bool).tril().expand(1, 2, n, n)
        expected += n * (n + 1) / 2 * F.mse_loss(mine.scores[1][before], theirs.scores[2][before])
        pairs += n * (n + 1) // 2
    assert batch.counts["attention"] == pairs
    assert learning(batch)["attention"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_student_that_is_its_teacher_has_nothing_to_learn(teacher, rows, tokenizer):
    same = student(tokenizer, layers=4)
    same.load_state_dict(teacher.state_dict())
    intermediate_objective = IntermediateDistillation(same, teacher.backbone, (1, 2, 3, 4))
    found = total(intermediate_objective, small.all_rows(intermediate_objective, rows, 8))
    assert found["hidden"].item() < 1e-10
    assert found["attention"].item() < 1e-10


def test_the_teacher_is_no_part_of_what_is_trained_and_has_no_dropout(teacher, rows, tokenizer):
    own = student(tokenizer)
    intermediate_objective = IntermediateDistillation(own, teacher.backbone, (2, 4)).train()
    names = {name for name, _ in own.named_parameters() if name.startswith("backbone.")}
    assert {name for name, _ in intermediate_objective.named_parameters()} == names
    batch = small.all_rows(intermediate_objective, rows, 8)[0]
    one, two = intermediate_objective(batch), intermediate_objective(batch)
    assert one == two
    sum(one.values()).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in own.backbone.parameters())


def test_the_teacher_moves_with_what_learns_from_it(teacher, rows, tokenizer):
    objective = IntermediateDistillation(student(tokenizer), copy.deepcopy(teacher.backbone), (2, 4)).double()
    assert {parameter.dtype for parameter in objective.teacher.parameters()} == {torch.float64}
    losses = objective(small.all_rows(objective, rows, 8)[0])
    assert {loss.dtype for loss in losses.values()} == {torch.float64}


def test_a_narrower_student_has_one_matrix_that_its_folder_lacks(teacher, rows, tokenizer):
    own = student(tokenizer, hidden=16)
    intermediate_objective = IntermediateDistillation(own, teacher.backbone, (2, 4))
    assert intermediate_objective.projection.weight.shape == (32, 16)
    sum(intermediate_objective(small.all_rows(intermediate_objective, rows, 8)[0]).values()).backward()
    assert intermediate_objective.projection.weight.grad.abs().sum() > 0
    assert not any("projection" in name for name in own.folders(own.backbone.config)[""].state)


def test_other_heads_cannot_be_imitated(teacher, tokenizer):
    with pytest.raises(ValueError, match="4 attention heads, the teacher 2"):
        IntermediateDistillation(student(tokenizer, heads=4), teacher.backbone, (2, 4))


@pytest.mark.parametrize("case", [CLASSES, NUMBERS, CHOICES], ids=["classes", "numbers", "choices"])
def test_answers_cost_least_where_they_are_the_teachers(case, tokenizer, tmp_path: Path):
    own = small.build(*case, tokenizer)
    rows = own.dataset(small.encoded(*case, tokenizer, tmp_path), small.LENGTH)
    said_NW = torch.zeros(40, own.num_outputs)
    with torch.no_grad():
        for batch in small.all_rows(own, rows, 8):
            said_NW[batch["row"]] = own.predict(batch)
    taught = PredictionDistillation(own, said_NW)
    batches = small.all_rows(taught, rows, 8)
    least = total(taught, batches)["prediction"]
    least.backward()
    assert (
        max(parameter.grad.abs().max() for parameter in own.parameters() if parameter.grad is not None) < 1e-6
    )
    shares = said_NW.softmax(1)
    entropy = -(shares * shares.log()).sum(1).mean() if case is not NUMBERS else torch.tensor(0.0)
    assert least.item() == pytest.approx(entropy.item(), abs=1e-6)


def test_answers_of_numbers_cost_their_squared_error(tokenizer, tmp_path: Path):
    own = small.build(*NUMBERS, tokenizer)
    rows = own.dataset(small.encoded(*NUMBERS, tokenizer, tmp_path), small.LENGTH)
    answers = torch.arange(40.0)[:, None]
    taught = PredictionDistillation(own, answers)
    with torch.no_grad():
        expected = sum(
            ((own.predict(b) - answers[b["row"]]) ** 2).sum().item() for b in small.all_rows(own, rows, 8)
        )
        assert total(taught, small.all_rows(taught, rows, 8))["prediction"].item() == pytest.approx(
            expected / 40
        )


def test_no_label_is_looked_at(rows, teacher, tokenizer):
    own = student(tokenizer)
    answers = torch.randn(40, own.num_outputs, generator=torch.Generator().manual_seed(0))
    taught = PredictionDistillation(own, answers)
    before = total(taught, small.all_rows(taught, rows, 8))
    rows.labels[:] = np.nan
    assert total(taught, small.all_rows(taught, rows, 8)) == before


def test_what_is_trained_has_the_names_of_the_task_and_is_judged_as_it_is(tokenizer):
    own = student(tokenizer)
    taught = PredictionDistillation(own, torch.zeros(40, own.num_outputs))
    assert taught.state_dict().keys() == own.state_dict().keys()
    assert {id(parameter) for parameter in taught.parameters()} == {
        id(parameter) for parameter in own.parameters()
    }
    assert taught.loss({"accuracy": 0.75, "cross_entropy": 9.0}) == -0.75
