"""`nlptool predict`: rows in, predictions out."""

import csv
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlptool.cli import main
from nlptool.commands.predict import run as predict_run
from nlptool.commands.predict.options import PredictOptions
from nlptool.errors import UsageError
from nlptool.recipe import Named
from nlptool.registry import DiscriminatedBy
from nlptool.tasks import row_chunks, row_source
from nlptool.tasks.prediction_parts import PredictionParts
from nlptool.tasks.task_record import TaskRecord
from nlptool.tasks.token_classification.objective import TokenClassification
from nlptool.text.row import Row
from nlptool.train.interrupts import SignalHandler

WORDS = (
    "the",
    "river",
    "old",
    "town",
    "a",
    "small",
    "house",
    "winter",
    "wood",
    "stone",
    "강",
    "église",
    "😀",
)


def texts(number: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(number)]


@pytest.fixture(scope="module")
def run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuned classifier, two seeds."""
    work = tmp_path_factory.mktemp("tuned")
    (work / "data").mkdir()
    lines = "".join(json.dumps({"sentence": t, "label": len(t) % 2}) + "\n" for t in texts(40))
    for split in ("train", "validation", "test"):
        (work / "data" / f"{split}.jsonl").write_text(lines)
    (work / "odd.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [even, odd]\nmetrics: [accuracy]\ntest: [test]\n"
        "submission: {files: [Odd.tsv]}\n"
    )
    settings = ["train.steps=2", "train.batch_size=8", "train.sequence_length=16", "train.lr=1e-2", "seeds=2"]
    task = [f"task={work}/odd.yaml", f"data={work}/data", f"init_from={tiny_run}/final", f"out={work}/run"]
    assert main(["finetune", "finetune/bert", *task, *settings]) == 0
    return work / "run"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": i, "sentence": t}) + "\n" for i, t in enumerate(texts(40))))
    return path


@pytest.fixture
def chunks_of_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_chunks, "CHUNK", 8)


def predict(model: Path, *arguments: object) -> int:
    return main(["predict", str(model), *map(str, arguments)])


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_predictions_are_those_of_finetune_in_the_order_of_the_rows(run: Path, rows: Path, chunks_of_8):
    out = rows.parent / "out.jsonl"
    known = lines(run / "seed-0" / "predictions" / "test.jsonl")
    assert len(known) == 40
    for batch_size in ([], ["--batch-size", 3]):
        assert predict(run / "seed-0" / "final", rows, "--out", out, "--overwrite", *batch_size) == 0
        for one, other in zip(lines(out), known, strict=True):
            assert (one["row"], one["prediction"]) == (other["row"], other["prediction"])
            assert one["scores"] == pytest.approx(other["scores"], abs=2e-6)
    assert sorted(path.name for path in rows.parent.iterdir()) == ["out.jsonl", "rows.jsonl"]


def test_no_more_rows_are_read_than_a_chunk_has(run: Path, chunks_of_8):
    model = str(run / "seed-0" / "final")
    question = PredictOptions(model, texts=("a",))
    read: list[int] = []

    def endless() -> Iterator[Row]:
        for number in count():
            read.append(number)
            yield Row(f"rows:{number}", {"sentence": "the river"})

    with SignalHandler(alone=True) as signals:
        predicted = predict_run.predicted(
            predict_run.Ensemble([model], question, signals), endless(), question, 0
        )
        for chunk in (1, 2, 3):
            next(predicted)
            assert len(read) == 8 * chunk


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """100,000 rows; benchmarks/predict.py --memory 1000000 gives the figure of ten times as many."""
    source, seen = tmp_path / "rows.txt", list[int]()
    source.write_text("".join(f"{text}\n" for text in islice(cycle(texts(997)), 100_000)))
    add = PredictionParts.add

    def watched(self: PredictionParts, *arguments: Any) -> Any:
        done = add(self, *arguments)
        seen.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
        return done

    monkeypatch.setattr(PredictionParts, "add", watched)
    assert predict(run / "seed-0" / "final", source, "--out", tmp_path / "out.csv") == 0
    assert len(seen) == 49
    assert max(seen) - seen[1] < 50e6
    with (tmp_path / "out.csv").open() as file:
        assert sum(1 for _ in file) == 100_001


def test_a_run_of_several_seeds_answers_with_their_mean(run: Path, rows: Path):
    for name, model in (("mean", run), ("0", run / "seed-0/final"), ("1", run / "seed-1/final")):
        assert predict(model, rows, "--out", rows.parent / f"{name}.jsonl") == 0
    mean, first, second = (lines(rows.parent / f"{name}.jsonl") for name in ("mean", "0", "1"))
    assert first != second
    for all_, one, two in zip(mean, first, second, strict=True):
        expected = {name: (one["scores"][name] + two["scores"][name]) / 2 for name in one["scores"]}
        assert all_["scores"] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("content", ["", "sentence\n", "sentence,n\n,1\n"])
def test_a_file_without_a_row_is_an_error_on_the_screen_and_in_a_file(
    content: str, run: Path, tmp_path: Path, capsys
):
    rows = tmp_path / "rows.csv"
    rows.write_text(content)
    for out in ([], ["--out", tmp_path / "out.csv"]):
        assert predict(run / "seed-0" / "final", rows, "--on-error", "skip", *out) == 3
        assert f"{rows}: no row to predict" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_every_format_is_read_and_written_alike(run: Path, rows: Path):
    import pyarrow.parquet

    folder, asked = rows.parent, texts(40)
    (folder / "rows.csv").write_text("sentence\n" + "\n".join(asked) + "\n")
    (folder / "rows.tsv").write_text("7\t" + "\n7\t".join(asked) + "\n")
    (folder / "rows.txt").write_text("\n".join(asked) + "\n")
    pyarrow.parquet.write_table(pyarrow.table({"text": asked}), folder / "rows.parquet")
    model = run / "seed-0" / "final"
    assert predict(model, rows, "-o", folder / "1.jsonl") == 0
    assert predict(model, folder / "rows.csv", "-o", folder / "2.jsonl") == 0
    assert predict(model, folder / "rows.tsv", "--columns", "n,sentence", "-o", folder / "3.jsonl") == 0
    assert predict(model, folder / "rows.txt", "-o", folder / "4.jsonl") == 0
    assert predict(model, folder / "rows.parquet", "--map", "sentence=text", "-o", folder / "5.jsonl") == 0
    expected = lines(folder / "1.jsonl")
    assert all(lines(folder / f"{number}.jsonl") == expected for number in range(2, 6))
    for suffix in ("csv", "tsv", "parquet"):
        assert predict(model, rows, "--keep", "-o", folder / f"out.{suffix}") == 0
    table = pyarrow.parquet.read_table(folder / "out.parquet").to_pylist()
    assert [row["sentence"] for row in table] == asked
    assert [row["prediction"] for row in table] == [row["prediction"] for row in expected]
    assert [row["scores.odd"] for row in table] == [row["scores"]["odd"] for row in expected]
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        with (folder / f"out.{suffix}").open(newline="") as file:
            found = list(csv.DictReader(file, delimiter=delimiter))
        assert [row["sentence"] for row in found] == asked
        assert [float(row["scores.odd"]) for row in found] == [row["scores"]["odd"] for row in expected]


def test_standard_input_gives_lines_of_json(run: Path, rows: Path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("강 😀\nthe old town\n".encode())))
    assert predict(run, "-", "--format", "lines") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["row"] for one in found] == [0, 1]
    assert {one["prediction"] for one in found} <= {"even", "odd"}


def test_one_text_is_answered_on_the_screen(run: Path, capsys):
    assert predict(run, "--text", "강 \x1b[31m😀") == 0
    told = capsys.readouterr().out
    assert "prediction" in told
    assert "\x1b" not in told
    assert predict(run, "--text", "강", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"prediction", "scores"}
    assert predict(run, "--text", "강 " * 2000) == 0
    assert "1 row: the text has more than 16 tokens and is cut" in capsys.readouterr().err


def test_a_bad_row_ends_it_with_its_line_or_is_left_out_and_counted(
    run: Path, rows: Path, capsys, chunks_of_8
):
    written = rows.read_text().splitlines()
    written[10], written[20] = '{"sentence": " "}', "{broken"
    rows.write_text("\n".join(written) + "\n")
    out = rows.parent / "out.jsonl"
    assert predict(run, rows, "-o", out) == 3
    told = capsys.readouterr().err
    assert f"{rows}:11: column 'sentence' is empty" in told
    assert "8 rows are kept" in told
    assert not out.exists()
    assert predict(run, rows, "-o", out, "--overwrite", "--on-error", "skip", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["skipped"]) == (38, 2)
    assert f"{rows}:21: broken JSON" in told["faults"][1]
    assert [line["row"] for line in lines(out)] == [n for n in range(40) if n not in (10, 20)]


def test_a_signal_keeps_what_is_done_and_resume_gives_the_same_file(
    run: Path, rows: Path, capsys, monkeypatch, chunks_of_8
):
    whole, out = rows.parent / "whole.jsonl", rows.parent / "out.jsonl"
    assert predict(run, rows, "-o", whole) == 0
    with monkeypatch.context() as patch:
        add = PredictionParts.add

        def stopped(self, *arguments):
            done = add(self, *arguments)
            if done.parts == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return done

        patch.setattr(PredictionParts, "add", stopped)
        assert predict(run, rows, "-o", out) == 75
    told = capsys.readouterr().err
    assert "stopped by SIGTERM after 16 rows" in told
    assert not out.exists()
    assert predict(run, rows, "-o", out) == 2
    assert predict(run, rows, "-o", out, "--resume", "auto", "--keep") == 2
    assert "begun with another set of options" in capsys.readouterr().err
    assert predict(run, rows, "-o", out, "--resume", "auto") == 0
    assert "resuming after 16 rows" in capsys.readouterr().err
    assert out.read_bytes() == whole.read_bytes()
    assert predict(run, rows, "-o", out, "--resume", "auto") == 0
    assert "is finished" in capsys.readouterr().err


def test_a_submission_is_what_finetune_hands_in(run: Path, rows: Path):
    out = rows.parent / "Odd.tsv"
    assert predict(run / "seed-0" / "final", rows, "--submission", "-o", out) == 0
    assert out.read_text() == (run / "seed-0" / "submission" / "Odd.tsv").read_text()


def test_generated_answers_are_predicted(write_teacher, tmp_path: Path):
    block = {"name": "gpt2", "layers": 1, "hidden": 16, "heads": 2, "max_positions": 64}
    final = write_teacher(tmp_path / "final", block)
    (tmp_path / "task.yaml").write_text(
        "name: text_generation\nquestion: 'What comes of a {what}?'\ncontext: '{text}'\nmetrics: [exact]\n"
        "max_new_tokens: 4\n"
    )
    task = Named(DiscriminatedBy("tasks"), "tasks", "task").block(str(tmp_path / "task.yaml"))
    TaskRecord(task, 48, 8).write(final)
    (tmp_path / "rows.jsonl").write_text('{"what": "bell", "text": "강"}\n{"what": "bell", "text": "old"}\n')
    out = tmp_path / "out.jsonl"
    assert predict(final, tmp_path / "rows.jsonl", "-o", out, "--keep") == 0
    assert [line["text"] for line in lines(out)] == ["강", "old"]
    assert all(isinstance(line["prediction"], str) for line in lines(out))


def test_texts_are_rows_each_or_one_row_of_a_pair(run: Path, capsys):
    model = run / "seed-0" / "final"
    assert predict(model, "--text", "the river", "--text", "강 😀", "--json") == 0
    both = json.loads(capsys.readouterr().out)
    for text, one in zip(("the river", "강 😀"), both, strict=True):
        assert predict(model, "--text", text, "--json") == 0
        assert json.loads(capsys.readouterr().out)["scores"] == pytest.approx(one["scores"], abs=2e-6)
    assert predict(model, "--text", "the river", "--text", "강 😀") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if line in ("the river", "강 😀")] == ["the river", "강 😀"]
    pair = Named(DiscriminatedBy("tasks"), "tasks", "task").block("glue/mrpc")
    (row,) = row_source.of_texts(pair, ["a", "b"])
    assert row.values == {"sentence1": "a", "sentence2": "b"}
    with pytest.raises(UsageError, match="3 texts, but a row has sentence1, sentence2"):
        row_source.of_texts(pair, ["a", "b", "c"])


def tuned_on(kind_rows: list[dict], start: Path, work: Path, capsys, *keys: str) -> Path:
    """A model of one step on rows of one's own, whose columns tell the task."""
    (work / "data").mkdir()
    for split in ("train", "validation"):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kind_rows)
        (work / "data" / f"{split}.jsonl").write_text(text)
    steps = ["train.steps=1", "train.batch_size=4", "train.sequence_length=32"]
    task = [f"task={work}/data", f"init_from={start}/final", "--out", f"{work}/run"]
    assert main(["finetune", "finetune/bert", *task, *steps, *keys]) == 0
    capsys.readouterr()
    return work / "run"


def test_entities_are_named_with_their_words(tiny_run: Path, tmp_path: Path, capsys, monkeypatch):
    rows = [{"tokens": ["강은", "the", "old", "town"], "tags": ["B-LOC", "O", "B-LOC", "I-LOC"]}] * 4
    model = tuned_on(rows, tiny_run, tmp_path, capsys)
    tags = {"강은": "B-LOC", "town": "I-LOC", "the": "O", "old": "B-LOC"}
    monkeypatch.setattr(
        TokenClassification,
        "answers",
        lambda self, given, logits: iter([{"prediction": list(tags.values())}]),
    )
    assert predict(model, "--text", " ".join(tags), "--json") == 0
    assert json.loads(capsys.readouterr().out)["entities"] == [
        {"label": "LOC", "text": "강은 town", "start": 0, "end": 2},
        {"label": "LOC", "text": "old", "start": 3, "end": 4},
    ]
    monkeypatch.undo()
    assert predict(model, "--text", " ") == 3
    assert "--text: column 'tokens' is empty: there are no words to tag" in capsys.readouterr().err


def test_answers_say_where_they_stand_and_need_no_id(tiny_run: Path, tmp_path: Path, capsys):
    context = "  한강은 서울을 the river 😀 지난다."
    answers = {"text": ["서울"], "answer_start": [context.index("서울")]}
    model = tuned_on(
        [{"question": "어디?", "context": context, "answers": answers}] * 3, tiny_run, tmp_path, capsys
    )
    assert predict(model, tmp_path / "data" / "train.jsonl") == 0
    given = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(given) == 3
    for one in given:
        assert one["prediction"] == context[one["start"] : one["end"]]
        for best in one["best"]:
            assert best["text"] == context[best["start"] : best["end"]]
        assert one["best"][0]["text"] == one["prediction"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to predict"),
        (("rows.jsonl", "--text", "a"), "two questions"),
        (("--text", "a", "-o", "out.jsonl"), "the prediction of a --text is shown"),
        (("none.jsonl",), "none.jsonl: no such file"),
        (("rows.dat",), "does not show the format"),
        (("rows.jsonl", "-o", "out.xlsx"), ".jsonl, .csv, .tsv, .parquet"),
        (("rows.jsonl", "--format", "xml"), "--format xml"),
        (("rows.jsonl", "--map", "sentence"), "--map sentence"),
        (("rows.jsonl", "--on-error", "ignore"), "'ignore' is not one of 'stop', 'skip'"),
        (("rows.jsonl", "--resume", "auto"), "--out FILE"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told(
    run: Path, rows: Path, arguments, told, capsys, monkeypatch
):
    monkeypatch.chdir(rows.parent)
    (rows.parent / "rows.dat").write_text("a\n")
    assert predict(run, *arguments) == 2
    assert told in capsys.readouterr().err


def test_a_pretrained_model_is_refused_with_the_way_out(tiny_run: Path, rows: Path, capsys):
    assert predict(tiny_run / "final", rows) == 3
    told = capsys.readouterr().err
    assert "does not record the task" in told
    assert "nlptool finetune" in told
