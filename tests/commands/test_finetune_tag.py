import json
from pathlib import Path

import numpy as np
import pytest

from nlptool.cli import main

WORDS = ("the", "river", "old", "town", "small", "house", "winter", "wood", "stone", "light")
NAMES = {"anna": "PER", "otto": "PER", "rome": "LOC"}


def rows(number: int, seed: int) -> list[dict]:
    """Sentences with names, of one word or two."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(number):
        tokens, tags = [], []
        for word in rng.choice([*WORDS, *NAMES], rng.integers(3, 10)).tolist():
            tokens.append(word)
            tags.append(f"B-{NAMES[word]}" if word in NAMES else "O")
        made.append({"tokens": tokens, "ner_tags": tags})
    return made


@pytest.fixture
def work(tiny_run: Path, tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for seed, (split, number) in enumerate((("train", 200), ("validation", 60), ("test", 5))):
        lines = map(json.dumps, rows(number, seed))
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines))
    (tmp_path / "names.yaml").write_text(
        "name: token_classification\nlabels: [O, B-PER, I-PER, B-LOC, I-LOC]\nmetrics: [entity_f1, "
        "character_macro_f1]\ntest: [test]\n"
    )
    (tmp_path / "tune.yaml").write_text(
        f"task: {tmp_path}/names.yaml\ndata: {tmp_path}/data\ninit_from: {tiny_run}/final\n"
        "train: {epochs: 6, batch_size: 16, sequence_length: 48, lr: 1e-2}\n"
        f"dropout: {{hidden: 0.0, attention: 0.0, head: 0.0}}\nout: {tmp_path}/run\n"
    )
    return tmp_path


def test_entities_are_learnt_and_told_beside_none(work: Path, capsys):
    assert main(["finetune", str(work / "tune.yaml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["baseline_name"] == "all O"
    assert told["baseline"]["entity_f1"] == 0.0
    assert told["mean"]["entity_f1"] > 0.9
    run = work / "run" / "seed-0"
    lines = [json.loads(line) for line in (run / "predictions/validation.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == [row["ner_tags"] for row in rows(60, 1)]
    hidden = [json.loads(line) for line in (run / "predictions/test.jsonl").read_text().splitlines()]
    assert [len(line["prediction"]) for line in hidden] == [len(row["tokens"]) for row in rows(5, 2)]
    assert all("label" not in line for line in hidden)


def test_transformers_finds_the_same_entities(work: Path):
    transformers = pytest.importorskip("transformers")
    assert main(["finetune", str(work / "tune.yaml")]) == 0
    find = transformers.pipeline("token-classification", str(work / "run/seed-0/final"))
    line = json.loads((work / "run/seed-0/predictions/validation.jsonl").read_text().splitlines()[0])
    text = " ".join(rows(60, 1)[0]["tokens"])
    named = {text[found["start"] : found["end"]].strip(): found["entity"] for found in find(text)}
    said = {tag for tag in line["prediction"] if tag != "O"}
    assert said <= set(named.values())


def test_a_row_with_too_few_tags_is_told_with_its_line(work: Path, capsys):
    broken = rows(20, 0)
    broken[4]["ner_tags"].pop()
    (work / "data" / "train.jsonl").write_text("\n".join(map(json.dumps, broken)))
    assert main(["finetune", str(work / "tune.yaml")]) == 3
    assert "train.jsonl:5: column 'ner_tags' holds" in capsys.readouterr().err


def columns(sentences: list[dict]) -> str:
    """As CoNLL-2003 has them."""
    found = (zip(one["tokens"], one["ner_tags"], strict=True) for one in sentences)
    return "-DOCSTART- -X- -X- O\n\n" + "\n".join(
        "".join(f"{word} NN B-NP {tag}\n" for word, tag in sentence) for sentence in found
    )


def test_files_in_conlls_columns_are_the_rows_that_they_hold(work: Path):
    assert main(["finetune", str(work / "tune.yaml"), "train.steps=1", "--out", str(work / "json")]) == 0
    for seed, (split, number) in enumerate((("train", 200), ("validation", 60), ("test", 5))):
        (work / "data" / f"{split}.jsonl").unlink()
        (work / "data" / f"{split}.txt").write_text(columns(rows(number, seed)))
    assert main(["finetune", str(work / "tune.yaml"), "train.steps=1", "--out", str(work / "columns")]) == 0
    made = [path for path in (work / "json" / "rows").iterdir() if path.suffix != ".json"]
    assert len(made) == 3 * 5
    for path in made:
        assert path.read_bytes() == (work / "columns" / "rows" / path.name).read_bytes()


def test_a_tag_in_columns_that_the_task_does_not_have_is_told_with_its_line(work: Path, capsys):
    (work / "data" / "train.jsonl").unlink()
    (work / "data" / "train.conll").write_text("the O\n\nold\tO\nann\tB-PET\n")
    assert main(["finetune", str(work / "tune.yaml")]) == 3
    assert 'train.conll:3: ner_tags[1] is "B-PET"' in capsys.readouterr().err
