"""Text that a tokenizer cannot encode is reported wherever a model reads text."""

import json
import shutil
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.text.tokenizer import Tokenizer


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run whose tokenizer has no token for the letter v, so that it is dropped."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    path = run / "final" / "tokenizer.json"
    content = json.loads(path.read_text())
    model = content["model"]
    model["merges"] = [pair for pair in model["merges"] if "v" not in "".join(pair)]
    model["vocab"]["[no v]"] = model["vocab"].pop("v")
    path.write_text(json.dumps(content))
    settings = json.loads((run / "final" / "config.json").read_text())
    (run / "final" / "config.json").write_text(
        json.dumps(settings | {"tokenizer_fingerprint": Tokenizer.load(run / "final").fingerprint})
    )
    return run


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_bits_per_byte_are_refused_and_perplexity_is_not(run: Path, tiny_store: Path, tiny_run: Path, capsys):
    models = [str(run / "final"), str(tiny_run / "final")]
    assert main(["evaluate", *models, "--store", str(tiny_store), "--max-chars", "80", "--json"]) == 0
    output = capsys.readouterr()
    lossy, whole = json.loads(output.out)
    assert lossy["bits_per_byte"] is None
    assert lossy["lost_bytes"] > 0
    assert lossy["perplexity"] > 1
    assert whole["bits_per_byte"] > 0
    assert whole["lost_bytes"] == 0
    assert "no bits per byte, since its tokenizer cannot spell these texts" in " ".join(output.err.split())


def test_fine_tuning_says_what_its_rows_lose(run: Path, tmp_path: Path, capsys):
    (tmp_path / "data").mkdir()
    rows = [{"sentence": f"the {word}", "label": label} for label, word in enumerate(["river", "town"] * 4)]
    text = "".join(json.dumps(row | {"label": row["label"] % 2}) + "\n" for row in rows)
    for split in ("train", "validation"):
        (tmp_path / "data" / f"{split}.jsonl").write_text(text)
    task = tmp_path / "task.yaml"
    task.write_text("name: classification\ninputs: [sentence]\nlabels: [wet, dry]\nmetrics: [accuracy]\n")
    recipe = tmp_path / "tune.yaml"
    recipe.write_text(
        f"task: {task}\ndata: {tmp_path}/data\ninit_from: {run}/final\n"
        f"train: {{epochs: 1, batch_size: 8, sequence_length: 16, lr: 1e-3}}\nout: {tmp_path}/tuned\n"
    )
    assert main(["finetune", str(recipe)]) == 0
    share = 8 / (8 * len("the river") + 8 * len("the town"))
    unknown = "the tokenizer cannot spell all of the task's texts: 0.00 % of the tokens are unknown"
    expected = f"{unknown}, {100 * share:.2f} %"
    assert f"{expected} of the bytes are lost (most often v)" in told(capsys)


def test_a_prompt_says_which_answers_are_the_same_to_the_model(
    run: Path, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "same.yaml").write_text(
        'name: multiple_choice\nprompt: "the"\nchoices: ["{a}", "{b}"]\nmetrics: [accuracy]\n'
    )
    (tmp_path / "data" / "same").mkdir(parents=True)
    rows = [{"a": "river", "b": "rier", "label": 0}, {"a": "old", "b": "small", "label": 1}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "data" / "same" / "validation.jsonl").write_text(text)
    recipe = tmp_path / "ask.yaml"
    recipe.write_text(f"tasks: [same.yaml]\ndata: data\nmodels: [{run}/final]\nout: asked\n")
    assert main(["prompt", str(recipe)]) == 0
    heard = told(capsys)
    assert "the tokenizer cannot spell all of it: 0.00 % of the tokens are unknown" in heard
    assert "answers of 1 of 2 questions are the same to it" in heard


def test_the_doctor_tells_of_a_tokenizer_that_loses_text(run: Path, tiny_run: Path, capsys):
    for folder, expected in ((run, True), (tiny_run, False)):
        main(["doctor", str(folder), "--json"])
        found = capsys.readouterr().out
        assert ("spelling" in found) is expected
