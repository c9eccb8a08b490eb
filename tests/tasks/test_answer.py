"""Generated answers: training targets, outputs, and truncation of long rows."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from small import WORDS

from nlptool.data.length_bucketing import SequentialBatches
from nlptool.data.prompt_completion import PromptDataset
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError, UsageError
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config as Bert
from nlptool.models.gpt2.config import Config as Gpt2
from nlptool.tasks.text_generation.config import Config
from nlptool.tasks.text_generation.objective import TextGeneration
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

MODEL = Gpt2(layers=2, hidden=32, heads=2, max_positions=64, dropout=0.0, attention_dropout=0.0, init=0.3)
TASK = Config.model_validate(
    {"question": "Which {what}?", "context": "{text}", "metrics": ("exact", "squad_f1"), "max_new_tokens": 6}
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.fixture
def objective(tokenizer: Tokenizer) -> TextGeneration:
    torch.manual_seed(0)
    return TASK.build(MODEL, Vocabulary.of(tokenizer), 0.0)


def made(number: int) -> list[Row]:
    rng = np.random.default_rng(0)

    def text(most: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(1, most)))

    return [Row(f"row {n}", {"what": text(3), "text": text(12), "answer": text(4)}) for n in range(number)]


def encoded(
    objective: TextGeneration, rows: list[Row], tokenizer: Tokenizer, folder: Path, length: int = 60
) -> PromptDataset:
    objective.encode(rows, tokenizer, folder / "train", labelled="answer" in rows[0].values)
    return objective.dataset(Split(folder / "train"), length)


@pytest.fixture
def rows(objective: TextGeneration, tokenizer: Tokenizer, tmp_path: Path) -> PromptDataset:
    return encoded(objective, made(24), tokenizer, tmp_path)


def text_of(rows: PromptDataset, row: int, tokenizer: Tokenizer) -> tuple[str, str]:
    """Prompt and answer of a row, as the model reads them."""
    some = rows.take(np.array([row]))
    cut = int(some.prompts[0])
    return tokenizer.decode(some.ids[0, :cut].tolist()), tokenizer.decode(some.ids[0, cut:].tolist())


def end(tokenizer: Tokenizer) -> str:
    special = tokenizer.special
    return tokenizer.decode([special.get("eos", special["sep"])])


def row(**values: str) -> list[Row]:
    return [Row("row 0", {"what": "town", "text": "the old river", "answer": "a bell"} | values)]


def test_a_row_is_context_question_answer_and_the_end(objective, tokenizer: Tokenizer, tmp_path: Path):
    rows = encoded(objective, row(), tokenizer, tmp_path)
    assert text_of(rows, 0, tokenizer) == (
        "Context: the old river Question: Which town? Answer:",
        f" a bell{end(tokenizer)}",
    )
    assert not any(cut.rows for cut in rows.cuts)


def test_without_a_context_there_is_only_the_question(tokenizer: Tokenizer, tmp_path: Path):
    task = Config.model_validate({"question": "Who?", "metrics": ("exact",)})
    rows = encoded(task.build(MODEL, Vocabulary.of(tokenizer), 0.0), row(), tokenizer, tmp_path)
    assert text_of(rows, 0, tokenizer)[0] == "Question: Who? Answer:"


def test_of_a_long_row_the_context_loses_its_end(objective, tokenizer: Tokenizer, tmp_path: Path):
    rows = encoded(objective, row(text="the old river " * 30), tokenizer, tmp_path)
    prompt, answer = text_of(rows, 0, tokenizer)
    assert prompt.startswith("Context: the old river the old")
    assert prompt.endswith(" Question: Which town? Answer:")
    assert answer == f" a bell{end(tokenizer)}"
    assert rows.lengths.tolist() == [60]
    assert [(cut.what, cut.key, cut.rows) for cut in rows.cuts] == [
        ("text", "train.sequence_length", 1),
        ("answer", "task.max_new_tokens", 0),
    ]


def test_of_a_long_answer_the_end_is_not_learnt(objective, tokenizer: Tokenizer, tmp_path: Path):
    rows = encoded(objective, row(answer="a bell " * 9), tokenizer, tmp_path)
    assert text_of(rows, 0, tokenizer)[1] == " a bell a bell a bell"


def test_a_length_without_room_for_a_question_is_refused(objective, tokenizer: Tokenizer, tmp_path: Path):
    with pytest.raises(UsageError, match=r"train\.sequence_length: 7 tokens leave no room"):
        encoded(objective, row(), tokenizer, tmp_path, length=7)


def test_a_tokenizer_without_an_end_of_text_is_refused_before_rows_are_read(tokenizer: Tokenizer):
    endless = dataclasses.replace(Vocabulary.of(tokenizer), special={"pad": 0})
    with pytest.raises(DataError, match="no token that ends a text"):
        TASK.build(MODEL, endless, 0.0)


def test_an_encoder_is_refused():
    (problem,) = TASK.check(Bert())
    assert "written by a decoder" in problem.message
    assert TASK.check(MODEL) == []


def batch_of(objective: TextGeneration, rows: PromptDataset, size: int = 24):
    (batch,) = SequentialBatches(rows, objective.collate, batch=size).get(0)
    return batch


def test_the_loss_is_that_of_the_answers_tokens_alone(objective: TextGeneration, rows: PromptDataset):
    """Against each row by itself, with the logits of the whole row."""
    objective.double()
    total, tokens = 0.0, 0
    for number in range(len(rows)):
        some = rows.take(np.array([number]))
        ids = torch.from_numpy(some.ids)
        logits = objective.backbone(Inputs(ids=ids)) @ objective.backbone.word_embeddings.T
        prompt = int(some.prompts[0])
        losses = torch.nn.functional.cross_entropy(
            logits[0, prompt - 1 : -1], ids[0, prompt:], reduction="sum"
        )
        total, tokens = total + losses.item(), tokens + ids.shape[1] - prompt
    batch = batch_of(objective, rows)
    assert objective(batch)["clm"].item() == pytest.approx(total, rel=1e-12)
    assert batch.counts == {"clm": tokens}
    assert batch.tokens == int((rows.lengths - 1).sum())
    said = objective.predict(batch)
    assert said[:, 0].sum().item() == pytest.approx(total, rel=1e-12)
    assert said[:, 1].sum().item() == tokens


def test_the_baseline_says_the_most_frequent_answer(
    objective: TextGeneration, tokenizer: Tokenizer, tmp_path: Path
):
    answers = ("yes", "no", "yes")
    rows = [Row(str(n), {"what": "a", "text": "b", "answer": text}) for n, text in enumerate(answers)]
    known = encoded(objective, rows, tokenizer, tmp_path)
    assert objective.baseline(known, known) == pytest.approx({"exact": 2 / 3, "squad_f1": 2 / 3})


def test_hidden_answers_are_not_labels(objective: TextGeneration, tokenizer: Tokenizer, tmp_path: Path):
    hidden = encoded(objective, [Row("row 0", {"what": "a", "text": "b"})], tokenizer, tmp_path)
    assert not hidden.labelled
    assert np.isnan(hidden.labels).all()
    said = np.full((1, objective.num_outputs), -1.0)
    assert list(objective.answers(hidden, said)) == [{"prediction": ""}]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "question: needed with format: columns"),
        ({"format": "woz", "question": "Who?"}, "question: needed with format: columns, and with it only"),
        ({"format": "woz", "context": "{a}"}, "says what the context and the answers are"),
        ({"question": "Who?", "metrics": ("joint_goal",)}, "joint_goal is for format: woz"),
    ],
)
def test_what_does_not_go_together_is_told(settings: dict, told: str):
    with pytest.raises(ValueError, match=told):
        Config.model_validate({"metrics": ("exact",)} | settings)


def test_several_models_answer_what_most_of_them_write(objective: TextGeneration):
    """The first of them decides where each writes another text; losses are those of the model that is followed."""
    none = [-1] * (objective.num_outputs - 4)
    one, two = [1.0, 2.0, 7, 8, *none], [3.0, 2.0, 9, 8, *none]
    outputs = [np.array([first, second]) for first, second in ((one, one), (two, two), (two, one))]
    assert objective.average(outputs).tolist() == [two, one]
    assert objective.average(outputs[:2]).tolist() == [one, one]
