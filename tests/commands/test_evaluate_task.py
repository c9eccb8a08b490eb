"""`nlptool evaluate MODEL --task`: labelled rows scored without training."""

import json
from pathlib import Path

import numpy as np
import pytest

from nlptool.cli import main
from nlptool.formatting import counted_each

WORDS = ("the", "river", "old", "town", "a", "small", "house", "winter", "강", "église")


@pytest.fixture(scope="module")
def work(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of three classes, two seeds, its task file and its rows."""
    work = tmp_path_factory.mktemp("tuned")
    rng = np.random.default_rng(0)
    (work / "data").mkdir()
    for split in ("train", "validation", "extra"):
        made = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(30)]
        lines = "".join(json.dumps({"sentence": t, "label": len(t) % 3}) + "\n" for t in made)
        (work / "data" / f"{split}.jsonl").write_text(lines)
    (work / "three.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [nil, 하나, deux]\nmetrics: [accuracy, macro_f1]\n"
    )
    settings = ["train.steps=6", "train.batch_size=8", "train.sequence_length=16", "train.lr=1e-2", "seeds=2"]
    task = [f"task={work}/three.yaml", f"data={work}/data", f"init_from={tiny_run}/final", f"out={work}/run"]
    assert main(["finetune", "finetune/bert", *task, *settings]) == 0
    return work


def evaluate(work: Path, *arguments: str) -> int:
    return main(["evaluate", str(work / "run"), "--data", str(work / "data"), *arguments])


def test_scores_and_predictions_are_those_of_finetune_to_the_last_digit(work: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert evaluate(work, "--task", str(work / "three.yaml"), "--out", str(out), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 2
    for seed, one in enumerate(found):
        trained = work / "run" / f"seed-{seed}"
        assert one["figures"] == json.loads((trained / "scores.json").read_text())["figures"]
        (kept,) = out.glob(f"*seed-{seed}*/predictions/validation.jsonl")
        assert kept.read_bytes() == (trained / "predictions/validation.jsonl").read_bytes()
    assert evaluate(work, "--task", str(work / "three.yaml"), "--batch-size", "1", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert [one["figures"] for one in alone] == [pytest.approx(one["figures"], abs=1e-6) for one in found]


def test_what_is_taken_for_what_is_counted_and_drawn(work: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert evaluate(work, "--task", str(work / "three.yaml"), "--out", str(out), "--json") == 0
    for one in json.loads(capsys.readouterr().out):
        split = one["splits"]["validation"]
        counts = np.array(split["confusion"]["counts"])
        assert split["confusion"]["classes"] == ["nil", "하나", "deux"]
        assert counts.sum() == 30
        assert counts.trace() / 30 == pytest.approx(one["figures"]["accuracy"])
        sure = [max(error["scores"].values()) for error in split["errors"]]
        assert sure == sorted(sure, reverse=True)
        assert len(sure) == min(10, 30 - counts.trace())
        rows = (work / "data/validation.jsonl").read_text().splitlines()
        for error in split["errors"]:
            assert error["prediction"] != error["label"]
            assert error["text"] == json.loads(rows[error["row"]])["sentence"]
    pictures = sorted(path.name for path in out.glob("*seed-0*/*"))
    assert pictures == ["confusion-validation.png", "confusion-validation.svg", "predictions"]
    assert "confusion matrix" in (out / "evaluate.md").read_text()


def test_another_split_is_scored_by_the_task_that_the_model_carries(work: Path, capsys):
    assert evaluate(work, "--split", "extra") == 0
    told = capsys.readouterr().out
    assert "extra 30 rows" in told
    assert "하나" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--task", "nothing"), "nothing"),
        (("--split", "extra", "--suite", "glue"), "--suite has no effect here"),
        (("--split", "extra", "--store", "store"), "--store has no effect here"),
        (("--data", "none", "--split", "extra"), "no folder or file none"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told(work: Path, arguments, told: str, capsys):
    assert evaluate(work, *arguments) == 2
    assert told in capsys.readouterr().err


def test_one_file_is_scored_by_the_task_that_the_model_carries(work: Path, tmp_path: Path, capsys):
    file = tmp_path / "새 rows.jsonl"
    file.write_bytes((work / "data/validation.jsonl").read_bytes())
    model = str(work / "run")
    expected = evaluate(work, "--task", str(work / "three.yaml"), "--json"), capsys.readouterr().out
    for arguments in (["--data", str(file)], ["--task", str(file)]):
        assert main(["evaluate", model, *arguments, "--json"]) == 0
        for told, right in zip(json.loads(capsys.readouterr().out), json.loads(expected[1]), strict=True):
            assert told["figures"] == right["figures"]
            assert told["rows"] == {"새 rows": 30}
    assert main(["evaluate", model, "--data", str(file), "--split", "x"]) == 2
    assert "is one file" in capsys.readouterr().err


def test_a_count_of_one_is_one_row():
    assert counted_each({"train": 1198, "validation": 1}, "rows") == "train 1,198, validation 1 row"
    assert counted_each({"extra": 30}, "rows") == "extra 30 rows"


def test_a_task_of_other_classes_is_refused(work: Path, tmp_path: Path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text((work / "three.yaml").read_text().replace("nil, 하나, deux", "a, b, c"))
    assert evaluate(work, "--task", str(other)) == 3
    assert "its classes are 0 nil, 1 하나, 2 deux" in capsys.readouterr().err


def test_a_split_that_is_missing_is_told(work: Path, capsys):
    assert evaluate(work, "--split", "none") == 3
    assert "no file for the split none" in capsys.readouterr().err
