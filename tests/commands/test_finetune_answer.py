"""Fine-tuning a decoder to generate answers, from the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nlptool.cli import main
from nlptool.train import checkpoint

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
        "name: text_generation\n"
        "question: What comes of a {what}?\n"
        "context: '{text}'\n"
        "metrics: [exact, squad_f1]\n"
        "test: [test]\n"
        "max_new_tokens: 3\n"
    )
    (tmp_path / "tune.yaml").write_text(
        f"task: {tmp_path}/bell.yaml\n"
        f"data: {tmp_path}/data\n"
        f"init_from: {tiny_decoder}\n"
        "dropout: {hidden: 0, attention: 0}\n"
        "train: {epochs: 6, batch_size: 8, sequence_length: 48, lr: 3e-3}\n"
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
    assert tune(work, f"init_from={tiny_run}/final") == 3
    told = capsys.readouterr().err
    assert "answers are written by a decoder, such as gpt2; this is an encoder" in told
    assert "Traceback" not in told
    assert not (work / "run" / "rows").exists()


def test_a_decoder_is_refused_where_an_encoder_is_needed(work: Path, capsys):
    (work / "bell.yaml").write_text("name: token_classification\nlabels: [O, B-BELL, I-BELL]\n")
    assert tune(work) in (2, 3)
    assert "takes an encoder, such as bert" in capsys.readouterr().err


def test_a_column_that_is_not_there_is_told_with_file_and_line(work: Path, capsys):
    assert tune(work, "task.question=Is there a {thing}?") in (2, 3)
    (work / "bell.yaml").write_text(
        "name: text_generation\nquestion: '{thing}?'\nmetrics: [exact]\nmax_new_tokens: 3\n"
    )
    assert tune(work) == 3
    assert "train.jsonl:1: no column 'thing'" in capsys.readouterr().err


def test_a_metric_that_does_not_see_the_answers_is_told_once(work: Path, capsys):
    write(work / "data" / "validation.jsonl", [{"text": "the old", "what": "bell", "answer": "겨울 종"}])
    task = (work / "bell.yaml").read_text().replace("[exact, squad_f1]", "[rouge, exact]")
    (work / "bell.yaml").write_text(task)
    assert tune(work, "--dry-run") == 0
    assert capsys.readouterr().err.count("rouge-score reads only a-z and digits") == 1
    (work / "bell.yaml").write_text(f"{task}tokenize: {{rouge: unicode}}\n")
    assert tune(work, "--dry-run") == 0
    assert "rouge-score" not in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_take(work: Path, capsys):
    assert tune(work, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == {"train": 160, "validation": 40, "test": 5}
    assert told["steps"] == 120
    assert told["flops"] > 0
    assert not (work / "run").exists()


def several(work: Path) -> None:
    """Two tasks, the second one with other questions, and a recipe for both."""
    other = {"bell": "house", "stone": "old"}
    for name in ("bell", "turned"):
        folder = work / "data" / name
        folder.mkdir()
        for split, number, seed in (("train", 96 if name == "bell" else 24, 0), ("validation", 20, 1)):
            made = rows(number, seed)
            turned = [row | {"what": other[row["what"]]} for row in made]
            write(folder / f"{split}.jsonl", made if name == "bell" else turned)
    task = (work / "bell.yaml").read_text().replace("test: [test]\n", "")
    (work / "bell.yaml").write_text(task)
    (work / "turned.yaml").write_text(task.replace("metrics: [exact, squad_f1]", "metrics: [squad_f1]"))
    recipe = (work / "tune.yaml").read_text().partition("\n")[2].replace("epochs: 6", "steps: 150")
    tasks = f"{{bell: {work}/bell.yaml, turned: {work}/turned.yaml}}"
    (work / "tune.yaml").write_text(f"task: {{name: text_generation, tasks: {tasks}}}\n{recipe}")


def test_several_tasks_are_learnt_together(work: Path, capsys):
    several(work)
    assert tune(work, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == {"train": 120, "bell/validation": 20, "turned/validation": 20}
    assert told["mean"]["bell/exact"] == told["mean"]["turned/squad_f1"] == 1.0
    assert told["mean"]["sum"] == 2.0
    assert "turned/exact" not in told["mean"]
    majority = max(sum(row["answer"] == text for row in rows(20, 1)) / 20 for text in ("light", "winter"))
    assert told["baseline"]["bell/exact"] == majority
    assert told["baseline"]["sum"] == pytest.approx(2 * majority)
    assert len((work / "run/seed-0/predictions/turned/validation.jsonl").read_text().splitlines()) == 20


def test_several_tasks_go_on_as_if_nothing_had_been(work: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "prune", lambda folder, keep, written: None)
    several(work)
    short = ("train.steps=12", "evaluate.every=5")
    assert tune(work, *short) == 0
    again = work / "again"
    shutil.copytree(work / "run", again)
    for path in (again / "scores.json", again / "seed-0/scores.json"):
        path.unlink()
    for step in ("00000010", "00000012"):
        shutil.rmtree(again / "seed-0/checkpoints" / f"step-{step}")
    shutil.rmtree(again / "seed-0/final")
    assert tune(work, *short, "--out", str(again), "--resume", "auto") == 0
    one, two = (load_file(run / "seed-0/final/model.safetensors") for run in (work / "run", again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_task_without_its_folder_is_told(work: Path, capsys):
    several(work)
    shutil.rmtree(work / "data" / "turned")
    assert tune(work) == 3
    assert f"{work}/data/turned: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("task.tasks.bell=deca/sts", "did you mean"),
        (
            "task.tasks.bell=glue/sst2",
            "a task of kind classification; one of kind text_generation is needed here",
        ),
        ("task.metrics=[exact]", "metrics: each of the tasks has its own"),
        ("task.question=Who?", "question: each of the tasks has its own"),
    ],
)
def test_what_several_tasks_cannot_say_is_told(work: Path, changed: str, told: str, capsys):
    several(work)
    assert tune(work, changed) == 2
    assert told in capsys.readouterr().err


def test_many_figures_have_a_line_each(work: Path, capsys):
    several(work)
    assert tune(work, "train.steps=2") == 0
    few = capsys.readouterr().out.splitlines()
    assert few[1].strip().startswith("step  bell: causal LM loss")
    with_more = (work / "bell.yaml").read_text().replace("squad_f1]", "squad_f1, squad_exact, korquad_f1]")
    (work / "bell.yaml").write_text(with_more)
    assert tune(work, "train.steps=2", "--overwrite") == 0
    many = capsys.readouterr().out.splitlines()
    assert many[1].split() == ["seed", "0", "majority"]
    assert [line.partition("  ")[0] for line in many[2:]][:3] == [
        "step",
        "bell: causal LM loss",
        "bell: exact match",
    ]
