import json
import string
from pathlib import Path

import numpy as np
import pytest

from nlptool.cli import main

WORDS = ("the", "river", "old", "town", "small", "house", "winter", "wood", "stone", "light")


def squad(number: int, seed: int, unanswerable: float = 0.0) -> dict:
    """Texts with a bell, a horn or a drum: what sounds? In some there is none."""
    rng = np.random.default_rng(seed)
    paragraphs = []
    for row in range(number):
        words = rng.choice(WORDS, rng.integers(8, 30)).tolist()
        answer = str(rng.choice(["bell", "horn", "drum"]))
        none = bool(rng.random() < unanswerable)
        if not none:
            at = int(rng.integers(len(words)))
            words.insert(at, answer)
            start = len(" ".join([*words[:at], ""]))
        answers = [] if none else [{"text": answer, "answer_start": start}]
        qas = [{"id": f"{seed}-{row}", "question": "what sounds?", "answers": answers, "is_impossible": none}]
        paragraphs.append({"context": " ".join(words), "qas": qas})
    return {"version": "x", "data": [{"title": "bells", "paragraphs": paragraphs}]}


@pytest.fixture
def work(tiny_run: Path, tmp_path: Path) -> Path:
    """A folder with data/, SQuAD's files in one line and in many, and a recipe that takes a few seconds."""
    (tmp_path / "data").mkdir()
    (tmp_path / "tune.yaml").write_text(
        f"task: squad/v1\ndata: {tmp_path}/data\ninit_from: {tiny_run}/final\n"
        "train: {epochs: 8, batch_size: 16, sequence_length: 48, lr: 1e-2}\n"
        "dropout: {hidden: 0.0, attention: 0.0, head: 0.0}\n"
        f"evaluate: {{every: 100}}\nout: {tmp_path}/run\n"
    )
    return tmp_path


def write(work: Path, unanswerable: float = 0.0) -> dict:
    """The rows; gives those of the validation split."""
    (work / "data" / "train.json").write_text(json.dumps(squad(240, 0, unanswerable)))
    validation = squad(60, 1, unanswerable)
    (work / "data" / "validation.json").write_text(json.dumps(validation, indent=2))
    return {qa["id"]: qa for paragraph in validation["data"][0]["paragraphs"] for qa in paragraph["qas"]}


def tune(work: Path, *arguments: str) -> int:
    return main(["finetune", str(work / "tune.yaml"), *arguments])


def official(prediction: str, answers: list[str]) -> float:
    """SQuAD's exact match, as its script has it."""

    def normal(text: str) -> str:
        kept = "".join(c for c in text.lower() if c not in string.punctuation)
        return " ".join(word for word in kept.split() if word not in ("a", "an", "the"))

    return float(max(normal(prediction) == normal(answer) for answer in answers or [""]))


def test_answers_are_learnt_from_squads_own_files(work: Path, capsys):
    qas = write(work)
    assert tune(work, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == {"train": 240, "validation": 60}
    assert told["baseline_name"] == "no answer"
    assert told["baseline"] == {"squad_f1": 0.0, "squad_exact": 0.0}
    assert told["mean"]["squad_f1"] > 0.8
    run = work / "run" / "seed-0"
    given = json.loads((run / "submission/validation/predictions.json").read_text())
    assert set(given) == set(qas)
    exact = sum(official(given[i], [a["text"] for a in qa["answers"]]) for i, qa in qas.items()) / 60
    assert told["mean"]["squad_exact"] == pytest.approx(exact)
    lines = [json.loads(line) for line in (run / "predictions/validation.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == list(qas)
    assert all(line["prediction"] == line["best"][0]["text"] for line in lines)
    assert sum(line["prediction"] == line["label"] for line in lines) == round(60 * exact)
    assert json.loads((run / "final/config.json").read_text())["architectures"] == [
        "BertForQuestionAnswering"
    ]


def test_where_there_is_no_answer_is_learnt_as_well(work: Path, capsys):
    qas = write(work, 0.4)
    assert tune(work, "task=squad/v2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    none = sum(not qa["answers"] for qa in qas.values()) / 60
    assert told["baseline"]["squad2_best_f1"] == pytest.approx(none)
    assert told["mean"]["squad2_best_f1"] > none + 0.2
    assert told["mean"]["squad2_best_f1"] >= told["mean"]["squad2_f1"]
    submission_files = work / "run/seed-0/submission/validation"
    given = json.loads((submission_files / "predictions.json").read_text())
    odds = json.loads((submission_files / "null_odds.json").read_text())
    threshold = told["mean"]["squad2_best_f1_threshold"]
    assert all((given[i] == "") == (odds[i] > threshold + 1e-5) for i in qas)
    exact = sum(official(given[i], [a["text"] for a in qa["answers"]]) for i, qa in qas.items()) / 60
    assert exact == pytest.approx(told["mean"]["squad2_best_exact"], abs=0.05)


def test_an_answer_out_of_place_is_told_with_where_it_stands(work: Path, capsys):
    write(work)
    broken = squad(5, 2)
    broken["data"][0]["paragraphs"][3]["qas"][0]["answers"][0]["answer_start"] += 1
    (work / "data" / "train.json").write_text(json.dumps(broken, indent=1))
    assert tune(work) == 3
    told = capsys.readouterr().err
    assert "train.json: data[0].paragraphs[3].qas[0]: the answer" in told
    assert "answer_start counts characters" in told


def test_rows_without_answers_are_predicted_only(work: Path, capsys):
    write(work)
    hidden = [{"id": f"h{n}", "question": "what sounds?", "context": "the old bell town"} for n in range(3)]
    (work / "data" / "test.jsonl").write_text("\n".join(map(json.dumps, hidden)))
    (work / "task.yaml").write_text("name: extractive_qa\ntest: [test]\n")
    assert tune(work, f"task={work}/task.yaml", "train.steps=1") == 0
    lines = (work / "run/seed-0/predictions/test.jsonl").read_text().splitlines()
    assert all("label" not in json.loads(line) for line in lines)
    assert set(json.loads((work / "run/seed-0/submission/test/predictions.json").read_text())) == {
        "h0",
        "h1",
        "h2",
    }
