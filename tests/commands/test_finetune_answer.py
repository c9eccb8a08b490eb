"""A decoder learns to answer, through the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nlptool.cli import main

WORDS = ("the", "river", "old", "town", "a", "small", "house", "winter", "wood", "stone", "light")


def rows(number: int, seed: int) -> list[dict]:
    """What comes of a bell is light, of a stone winter; the text says nothing."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        bell = rng.random() < 0.4
        what, answer = ("bell", "light") if bell else ("stone", "winter")
        made.append({"text": " ".join(rng.choice(WORDS, rng.integers(2, 5))), "what": what, "answer": answer})
    return made


def write(path: Path, made: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))


@pytest.fixture
def work(tiny_decoder: Path, tmp_path: Path) -> Path:
    """A folder with data/, a task, and a recipe for it that takes a second or two."""
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.jsonl", rows(160, 0))
    write(tmp_path / "data" / "validation.jsonl", rows(40, 1))
    write(tmp_path / "data" / "test.jsonl", [{k: row[k] for k in ("text", "what")} for row in rows(5, 2)])
    (tmp_path / "bell.yaml").write_text(
        "name: answer\n"
        "question: What comes of a {what}?\n"
        "context: '{text}'\n"
        "metrics: [exact, squad_f1]\n"
        "test: [test]\n"
        "tokens: 3\n"
    )
    (tmp_path / "tune.yaml").write_text(
        f"task: {tmp_path}/bell.yaml\n"
        f"data: {tmp_path}/data\n"
        f"start: {tiny_decoder}\n"
        "dropout: {net: 0, attention: 0}\n"
        "train: {epochs: 6, batch: 8, length: 48, lr: 3e-3}\n"
        "evaluate: {every: 120}\n"
        f"out: {tmp_path}/run\n"
    )
    return tmp_path


def tune(work: Path, *arguments: str) -> int:
    return main(["finetune", str(work / "tune.yaml"), *arguments])


def test_what_can_be_learnt_is_answered_and_transformers_answers_alike(work: Path, capsys):
    transformers = pytest.importorskip("transformers")
    assert tune(work, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    majority = sum(row["answer"] == "winter" for row in rows(40, 1)) / 40
    assert told["baseline"] == {"exact": majority, "squad_f1": majority}
    assert told["mean"]["exact"] > 0.9 > majority + 0.2
    run = work / "run" / "seed-0"
    model = transformers.AutoModelForCausalLM.from_pretrained(run / "final")
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "final")
    answers = [json.loads(line) for line in (run / "predictions/validation.jsonl").read_text().splitlines()]
    assert [answer["label"] for answer in answers] == [row["answer"] for row in rows(40, 1)]
    for row, answer in zip(rows(5, 1), answers, strict=False):
        text = f"Context: {row['text']} Question: What comes of a {row['what']}? Answer:"
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        written = model.generate(ids, max_new_tokens=3, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        assert tokenizer.decode(written, skip_special_tokens=True).strip() == answer["prediction"]
    hidden = [json.loads(line) for line in (run / "predictions/test.jsonl").read_text().splitlines()]
    assert len(hidden) == 5
    assert all(set(line) == {"row", "prediction"} for line in hidden)


def test_an_encoder_is_refused_in_one_line(work: Path, tiny_run: Path, capsys):
    assert tune(work, f"start={tiny_run}/final") == 3
    told = capsys.readouterr().err
    assert "answers are written by a decoder, such as gpt2; this is an encoder" in told
    assert "Traceback" not in told
    assert not (work / "run" / "rows").exists()


def test_a_decoder_is_refused_where_an_encoder_is_needed(work: Path, capsys):
    (work / "bell.yaml").write_text(
        "name: classify\ninputs: [text]\nlabel: answer\nlabels: [light, winter]\nmetrics: [accuracy]\n"
    )
    assert tune(work) == 3
    assert "takes an encoder, such as bert" in capsys.readouterr().err


def test_a_column_that_is_not_there_is_told_with_file_and_line(work: Path, capsys):
    assert tune(work, "task.question=Is there a {thing}?") in (2, 3)
    (work / "bell.yaml").write_text("name: answer\nquestion: '{thing}?'\nmetrics: [exact]\ntokens: 3\n")
    assert tune(work) == 3
    assert "train.jsonl:1: no column 'thing'" in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_take(work: Path, capsys):
    assert tune(work, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == {"train": 160, "validation": 40, "test": 5}
    assert told["steps"] == 120
    assert told["flops"] > 0
    assert not (work / "run").exists()
