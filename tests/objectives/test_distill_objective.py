"""General distillation: its terms against other code and by hand, and the handling of the teacher."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.data.batches import Batch
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config as Bert
from nlptool.models.gpt2.config import Config as Gpt2
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives.distill.config import Config
from nlptool.objectives.distill.objective import DistillationObjective
from nlptool.recipe import RecipeBlock
from nlptool.text.store import Split

SMALL = {"layers": 2, "hidden": 32, "heads": 2, "max_positions": 40, "dropout": 0.0, "attention_dropout": 0.0}
LARGE = SMALL | {"layers": 4, "init": 0.2}
TINYBERT = {"kl": 0.0, "lm_loss": 0.0, "cosine": 0.0, "hidden": 1.0, "attention": 1.0, "embedding": 1.0}
ALL = TINYBERT | {"kl": 5.0, "lm_loss": 2.0, "cosine": 1.0}
FAMILIES = {"bert": Bert, "gpt2": Gpt2}
both = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


def make(
    family: str,
    settings: dict[str, Any] = ALL,
    student: dict[str, Any] = SMALL,
    teacher: dict[str, Any] = LARGE,
) -> DistillationObjective:
    torch.manual_seed(0)
    block = FAMILIES[family]
    return Config(**settings).build(block(**student), tiny.VOCABULARY, block(**teacher)).double()


def first_batch(objective: DistillationObjective, split: Split) -> Batch:
    return tiny.batches(objective, split).get(0)[0]


def means(objective: DistillationObjective, batch: Batch) -> dict[str, float]:
    return {term: value.item() / batch.counts[term] for term, value in objective(batch).items()}


def logits(model: nn.Module, hidden_BTD: Tensor) -> Tensor:
    words = model.backbone.word_embeddings
    head = getattr(model, "mlm", None)
    return hidden_BTD @ words.t() if head is None else head(hidden_BTD, words)


@both
def test_the_terms_are_those_of_the_published_code(family: str, split: Split) -> None:
    """DistilBERT's Distiller.step and TinyBERT's general_distill.py, written with torch's own losses."""
    objective = make(family)
    batch = first_batch(objective, split)
    found = means(objective, batch)
    own = objective.backbone.trace(Inputs(ids=batch["ids"]), scores=(1, 2))
    taught = objective.teacher.backbone.trace(Inputs(ids=batch["ids"]), scores=(2, 4))
    student, teacher = logits(objective, own.states[-1]), logits(objective.teacher, taught.states[-1])
    divergence = nn.KLDivLoss(reduction="batchmean")(
        (student / 2).log_softmax(-1).flatten(0, 1), (teacher / 2).softmax(-1).flatten(0, 1)
    )
    assert found["kl"] == pytest.approx(2.0**2 * divergence.item())
    if family == "bert":
        asked = student.gather(1, batch["at"][..., None].expand(-1, -1, tiny.SIZE))
        expected = F.cross_entropy(asked.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED)
        assert found["mlm"] == pytest.approx(expected.item())
    else:
        expected = F.cross_entropy(student.flatten(0, 1), batch["labels"].flatten())
        assert found["clm"] == pytest.approx(expected.item())
    last = own.states[-1].flatten(0, 1), taught.states[-1].flatten(0, 1)
    cosine = nn.CosineEmbeddingLoss(reduction="mean")(*last, last[0].new_ones(len(last[0])))
    assert found["cosine"] == pytest.approx(cosine.item())
    hidden = F.mse_loss(own.states[1], taught.states[2]) + F.mse_loss(own.states[2], taught.states[4])
    assert found["hidden"] == pytest.approx(hidden.item())
    assert found["embedding"] == pytest.approx(F.mse_loss(own.states[0], taught.states[0]).item())
    pairs = [(own.scores[1], taught.scores[2]), (own.scores[2], taught.scores[4])]
    if family == "gpt2":
        earlier = torch.ones(tiny.LENGTH, tiny.LENGTH, dtype=torch.bool).tril()
        pairs = [(one[..., earlier], two[..., earlier]) for one, two in pairs]
    assert found["attention"] == pytest.approx(sum(F.mse_loss(*pair).item() for pair in pairs))


def test_the_terms_are_those_of_textbrewer(split: Split) -> None:
    """But for T^2 and the teacher's entropy, which its cross-entropy of a perfect student is."""
    losses = pytest.importorskip("textbrewer.losses")
    objective = make("bert")
    batch = first_batch(objective, split)
    found = means(objective, batch)
    own = objective.backbone.trace(Inputs(ids=batch["ids"]), scores=(1, 2))
    taught = objective.teacher.backbone.trace(Inputs(ids=batch["ids"]), scores=(2, 4))
    student, teacher = logits(objective, own.states[-1]), logits(objective.teacher, taught.states[-1])
    soft = losses.kd_ce_loss(student, teacher, 2.0) - losses.kd_ce_loss(teacher, teacher, 2.0)
    assert found["kl"] == pytest.approx(4 * soft.item())
    assert found["cosine"] == pytest.approx(losses.cos_loss(own.states[-1], taught.states[-1]).item())
    pairs = [(own.states[m], taught.states[2 * m]) for m in (1, 2)]
    assert found["hidden"] == pytest.approx(sum(losses.hid_mse_loss(*pair).item() for pair in pairs))
    everything = torch.ones_like(batch["ids"])
    attention = [losses.att_mse_loss(own.scores[m], taught.scores[2 * m], everything) for m in (1, 2)]
    assert found["attention"] == pytest.approx(sum(one.item() for one in attention))


@both
def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it(family: str, split: Split) -> None:
    objective = make(family, teacher=SMALL)
    state = {key: t for key, t in objective.state_dict().items() if not key.startswith("projection.")}
    objective.teacher.load_state_dict(state)
    found = means(objective, first_batch(objective, split))
    for term in ("kl", "cosine", "hidden", "attention", "embedding"):
        assert found[term] == pytest.approx(0, abs=1e-12)


def test_the_masked_positions_alone_can_be_learnt_from(split: Split) -> None:
    objective = make("bert", {"kl_positions": "masked"})
    batch = first_batch(objective, split)
    states = (
        objective.backbone(Inputs(ids=batch["ids"])),
        objective.teacher.backbone(Inputs(ids=batch["ids"])),
    )
    asked = batch["at"][batch["labels"] != IGNORED], torch.arange(8)[:, None].expand_as(batch["at"])
    rows = asked[1][batch["labels"] != IGNORED]
    student, teacher = (
        logits(model, x)[rows, asked[0]] / 2
        for model, x in zip((objective, objective.teacher), states, strict=True)
    )
    expected = 4 * F.kl_div(student.log_softmax(-1), teacher.softmax(-1), reduction="sum")
    assert objective(batch)["kl"].item() == pytest.approx(expected.item())
    assert batch.counts["kl"] == len(rows)


def test_gpt2_gradients_do_not_depend_on_accumulation(split: Split) -> None:
    objective = make("gpt2")
    gradients = []
    for parts in (1, 4):
        batches = tiny.batches(objective, split, accumulate=parts).get(3)
        totals = {term: sum(batch.counts[term] for batch in batches) for term in objective.weights}
        objective.zero_grad()
        for batch in batches:
            sum(objective.weights[t] * value / totals[t] for t, value in objective(batch).items()).backward()
        gradients.append([p.grad.clone() for p in objective.parameters()])
    for one, two in zip(*gradients, strict=True):
        assert (one - two).abs().max() < 1e-9


def test_held_out_figures_are_also_those_of_the_language_model_and_of_its_teacher(split: Split) -> None:
    for family, told in (("bert", {"mlm"}), ("gpt2", {"clm", "perplexity"})):
        objective = make(family)
        batch = first_batch(objective, split)
        figures = objective.summary(objective.measure(batch), batch.counts)
        term = objective.term
        assert told | {f"{term}_accuracy", f"teacher_{term}", f"teacher_{term}_accuracy"} <= figures.keys()
        assert figures[term] == pytest.approx(objective(batch)[term].item() / batch.counts[term])
        said = logits(objective.teacher, objective.teacher.backbone(Inputs(ids=batch["ids"])))
        if "at" in batch:
            said = said.gather(1, batch["at"][..., None].expand(-1, -1, tiny.SIZE))
        expected = F.cross_entropy(said.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED)
        assert figures[f"teacher_{term}"] == pytest.approx(expected.item())


def test_where_nothing_is_guessed_nothing_is_masked(split: Split) -> None:
    objective = make("bert", TINYBERT | {"kl_positions": "masked"})
    batch = first_batch(objective, split)
    assert set(batch.tensors) == {"ids"}
    assert not (batch["ids"] == tiny.SPECIAL["mask"]).any()
    assert not objective.sees_mask
    assert batch.counts == {"hidden": 8 * 24, "attention": 8 * 24 * 24, "embedding": 8 * 24}


def test_a_narrow_student_has_one_matrix_to_its_teachers_width_that_is_not_exported(split: Split) -> None:
    wide = LARGE | {"hidden": 48}
    objective = make("bert", TINYBERT, teacher=wide)
    assert objective.projection.weight.shape == (48, 32)
    batch = first_batch(objective, split)
    own, taught = (
        model.trace(Inputs(ids=batch["ids"])) for model in (objective.backbone, objective.teacher.backbone)
    )
    expected = sum(
        F.mse_loss(objective.projection(own.states[m]), taught.states[2 * m]).item() for m in (1, 2)
    )
    found = means(objective, batch)
    assert found["hidden"] == pytest.approx(expected)
    embedded = F.mse_loss(objective.projection(own.states[0]), taught.states[0])
    assert found["embedding"] == pytest.approx(embedded.item())
    exported = objective.folders(Bert(**SMALL))[""].state
    assert {key.partition(".")[0] for key in exported} == {"backbone"}
    assert not any(key.startswith("projection") for key in make("bert", TINYBERT).state_dict())


def test_a_teacher_is_no_part_of_the_module_but_moves_with_it() -> None:
    objective = make("bert").train()
    count = sum(p.numel() for p in objective.parameters())
    assert count < sum(p.numel() for p in objective.teacher.parameters())
    assert {key.partition(".")[0] for key in objective.state_dict()} == {"backbone", "mlm"}
    assert not objective.teacher.training
    assert not any(p.requires_grad for p in objective.teacher.parameters())
    assert {p.dtype for p in objective.teacher.parameters()} == {torch.float64}
    assert all(p.is_meta for p in objective.to("meta").teacher.parameters())


@both
def test_a_teacher_costs_one_forward_pass_and_a_term_left_out_costs_nothing(
    family: str, split: Split
) -> None:
    objective = make(family, {"kl": 0.0, "cosine": 0.0})
    batch = first_batch(objective, split)
    ids, at = batch["ids"], batch["at"].numel() if "at" in batch else batch["ids"].numel()
    with flops.counting() as own:
        objective.backbone(Inputs(ids=ids))
    with flops.counting() as taught:
        objective.teacher.backbone(Inputs(ids=ids))
    head = 2 * at * 32 * (tiny.SIZE + (32 if family == "bert" else 0))
    with flops.counting() as count:
        objective(batch)
    assert count.once == taught.operations
    assert count.step == 3 * (own.operations + head) + taught.operations


def test_what_leaves_the_last_layer_without_a_lesson_is_refused() -> None:
    with pytest.raises(ValueError, match="the last layer learns nothing"):
        Config(**TINYBERT | {"hidden": 0.0})
    (problem,) = Config(kl_positions="masked").check(Gpt2(**SMALL))
    assert problem.path == "objective.kl_positions"
    assert not Config().check(Bert(**SMALL))


@pytest.mark.parametrize(
    ("settings", "student", "teacher", "told"),
    [
        ({}, Bert(**SMALL), Gpt2(**LARGE), "is a decoder, and the student an encoder"),
        ({}, Bert(**SMALL), Bert(**LARGE | {"hidden": 48}), "the student has 32, the teacher 48"),
        (
            TINYBERT,
            Bert(**SMALL),
            Bert(**LARGE | {"heads": 4}),
            "head by head; the student has 2, the teacher 4",
        ),
        (TINYBERT | {"layer_map": (1, 5)}, Bert(**SMALL), Bert(**LARGE), "at most 4"),
        (TINYBERT, Bert(**LARGE), Bert(**SMALL), "4 layers"),
    ],
)
def test_a_teacher_that_does_not_fit_is_told(
    settings: dict[str, Any], student: RecipeBlock, teacher: RecipeBlock, told: str
) -> None:
    (problem,) = Config(**settings).check_teacher(student, teacher, vocab_size=60)
    assert told in problem.message


def test_settings_import_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, nlptool.objectives.distill.config; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
