"""A final/ carries all that predicting takes: for every kind of task, copied elsewhere, it answers as the model that
made it. Kinds are found by their folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import small
import torch

from nlptool import registry
from nlptool.errors import DataError
from nlptool.tasks import row_chunks
from nlptool.tasks.base import LabelledDataset, TaskObjective
from nlptool.tasks.finetuned import FinetunedModel
from nlptool.tasks.task_record import FILE, TaskRecord, read_task_record
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

CASES = [(name, v) for name in registry.names("tasks") for v in small.facts(name).VARIANTS]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, dict]:
    name, variant = request.param
    return name, small.facts(name).VARIANTS[variant]


def final_of(case, objective: TaskObjective, tokenizer: Tokenizer, folder: Path) -> Path:
    folder.mkdir()
    model = small.model(objective.config.name, **small.entity_keys(objective.config))
    objective.folders(model)[""].save(folder, tokenizer, small.length(objective.config.name))
    TaskRecord(
        objective.config, small.length(objective.config.name), 8, thresholds=objective.thresholds
    ).write(folder)
    return folder


def said_logits(objective: TaskObjective, rows: LabelledDataset) -> np.ndarray:
    logits = np.zeros((len(rows.labels), objective.num_outputs))
    with torch.inference_mode():
        for batch in small.all_rows(objective, rows, 8):
            logits[batch["row"]] = objective.predict(batch).double().numpy()
    return logits


def said(objective: TaskObjective, rows: LabelledDataset) -> list[dict]:
    return list(objective.answers(rows, said_logits(objective, rows)))


def made(case, number: int = 12) -> list[Row]:
    rng = np.random.default_rng(1)
    return [Row(f"row {i}", small.facts(case[0]).row(rng, small.WORDS, case[1])) for i in range(number)]


def test_a_copy_of_final_answers_as_the_model_that_was_trained(case, tokenizer: Tokenizer, tmp_path: Path):
    objective = small.build(*case, tokenizer).eval()
    objective.thresholds.update(dict.fromkeys(objective.thresholds, 0.25))
    final = final_of(case, objective, tokenizer, tmp_path / "final")
    objective.encode(made(case), tokenizer, tmp_path / "rows", labelled=False)
    expected = said(objective, objective.dataset(Split(tmp_path / "rows"), small.length(case[0])))
    shutil.copytree(final, tmp_path / "copy")
    shutil.rmtree(final)
    model = FinetunedModel("copy", tmp_path / "copy", CPU)
    assert model.task == objective.config
    assert model.objective.thresholds == objective.thresholds
    answers = said(model.objective, model.encode(made(case), tmp_path / "again"))
    assert len(answers) == 12
    for one, other in zip(answers, expected, strict=True):
        assert one["prediction"] == pytest.approx(other["prediction"], abs=1e-6)


@pytest.mark.parametrize("family", ["albert", "distilbert", "electra"])
@pytest.mark.parametrize(
    "kind", ["classification", "multiple_choice", "token_classification", "extractive_qa"]
)
def test_every_family_gives_its_heads_back(kind: str, family: str, tokenizer: Tokenizer, tmp_path: Path):
    block = small.MODEL | {"name": family} | ({} if family == "distilbert" else {"embedding_size": 8})
    settings = next(iter(small.facts(kind).VARIANTS.values()))
    objective = small.build(kind, settings, tokenizer, **block)
    model = registry.config("models", family).model_validate(block)
    final = tmp_path / "final"
    final.mkdir()
    objective.folders(model)[""].save(final, tokenizer, small.length(objective.config.name))
    TaskRecord(objective.config, small.length(objective.config.name), 8).write(final)
    opened = FinetunedModel("m", final, CPU).objective.state_dict()
    assert all(torch.equal(value, opened[name]) for name, value in objective.state_dict().items())


def test_a_row_of_bare_texts_is_read(case, tokenizer: Tokenizer, tmp_path: Path):
    objective = small.build(*case, tokenizer).eval()
    columns = objective.config.text_columns
    if not columns:
        pytest.skip("a row of this kind is more than texts")
    row = objective.config.row_of(["the old river", *("a small bell" for _ in columns[1:])])
    objective.encode([Row("--text", row)], tokenizer, tmp_path / "rows", labelled=False)
    assert len(said(objective, objective.dataset(Split(tmp_path / "rows"), small.length(case[0])))) == 1


def test_the_mean_of_equal_models_answers_as_one(case, tokenizer: Tokenizer, tmp_path: Path):
    objective = small.build(*case, tokenizer).eval()
    objective.encode(made(case), tokenizer, tmp_path / "rows", labelled=True)
    rows = objective.dataset(Split(tmp_path / "rows"), small.length(case[0]))
    logits = said_logits(objective, rows)
    mean = list(objective.answers(rows, objective.average([logits, logits])))
    for one, alone in zip(mean, objective.answers(rows, logits), strict=True):
        assert one["prediction"] == pytest.approx(alone["prediction"], abs=1e-9)


def test_rows_that_cannot_be_read_are_left_out_and_told(case, tokenizer: Tokenizer, tmp_path: Path):
    objective = small.build(*case, tokenizer).eval()
    model = FinetunedModel("m", final_of(case, objective, tokenizer, tmp_path / "final"), CPU)
    some = [*made(case, 3), Row("row 3", {}), DataError("row 4: broken"), *made(case, 2)]
    some[5:] = [Row(f"row {5 + at}", row.values | {"id": f"{at}"}) for at, row in enumerate(some[5:])]
    with row_chunks.encoded(100, some, model.encode, skip=True) as chunk:
        assert [number for number, _ in chunk.rows] == [100, 101, 102, 105, 106]
        assert len(said(model.objective, chunk.dataset)) == 5
        assert sorted(fault.message[:6] for fault in chunk.faults) == ["row 3:", "row 4:"]
        assert chunk.end == 107
    with (
        pytest.raises(DataError, match="row 4: broken"),
        row_chunks.encoded(100, some, model.encode, skip=False),
    ):
        pass
    with (
        pytest.raises(DataError, match="row 3: "),
        row_chunks.encoded(100, some[:4], model.encode, skip=False),
    ):
        pass


def test_what_a_folder_says_of_its_task_is_checked(tmp_path: Path):
    assert read_task_record(tmp_path) is None
    record = TaskRecord(
        small.config("classification", small.facts("classification").VARIANTS["classes-of-one-text"]), 24, 8
    )
    record.write(tmp_path)
    assert read_task_record(tmp_path) == record
    written = (tmp_path / FILE).read_text()
    for old, new, told in (
        ('"classification"', '"clasification"', "name"),
        ("24", "-1", "sequence_length"),
        ('"inputs"', '"input"', "task: "),
        ('"batch_size"', '"batch"', "batch_size"),
    ):
        (tmp_path / FILE).write_text(written.replace(old, new))
        with pytest.raises(DataError, match=told) as found:
            read_task_record(tmp_path)
        assert FILE in found.value.message
        assert "--task" in found.value.hint
