"""Commands on a finished run: export, doctor, fill-mask."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from nlptool.cli import main
from nlptool.text.tokenizer import Tokenizer


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_the_newest_checkpoint_is_exported_as_final_was(run: Path, tmp_path: Path):
    assert main(["export", str(run), "--to", "hf", "-o", str(tmp_path / "hf")]) == 0
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "hf" / name).read_bytes() == (run / "final" / name).read_bytes()


def test_an_earlier_checkpoint_is_another_model(run: Path, tmp_path: Path):
    assert main(["export", str(run), "--checkpoint", "step-00000008", "-o", str(tmp_path / "hf")]) == 0
    early, late = (load_file(p / "model.safetensors") for p in (tmp_path / "hf", run / "final"))
    assert early.keys() == late.keys()
    assert any((early[name] != late[name]).any() for name in early)


def test_a_checkpoint_that_is_not_there_is_answered_with_those_that_are(run: Path, tmp_path: Path, capsys):
    assert main(["export", str(run), "--checkpoint", "step-9", "-o", str(tmp_path / "hf")]) == 2
    assert "step-00000012, step-00000008" in capsys.readouterr().err


def test_a_broken_checkpoint_is_not_exported(run: Path, tmp_path: Path, capsys):
    model = run / "checkpoints" / "step-00000012" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    assert main(["export", str(run), "--checkpoint", "step-00000012", "-o", str(tmp_path / "hf")]) == 3
    assert "model.safetensors has" in capsys.readouterr().err
    assert not (tmp_path / "hf").exists()


def test_export_does_not_overwrite_unasked(run: Path, capsys):
    assert main(["export", str(run), "-o", str(run / "final")]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_sound_run_passes_the_doctor(run: Path, capsys):
    assert main(["doctor", str(run), "--json"]) == 0
    found = {finding["subject"]: finding["good"] for finding in json.loads(capsys.readouterr().out)}
    assert not [subject for subject, good in found.items() if good is False]
    assert found["round trip"] is found["final weights"] is found["step-00000012"] is True


@pytest.mark.parametrize(
    ("damage", "subject"),
    [
        (lambda run: _flip(run / "checkpoints" / "step-00000012" / "optimizer.safetensors"), "step-00000012"),
        (lambda run: _poison(run / "final" / "model.safetensors"), "final weights"),
        (lambda run: _drop(run / "final" / "model.safetensors"), "round trip"),
        (lambda run: (run / "metrics.jsonl").write_text("{"), "metrics.jsonl"),
        (lambda run: (run / "final" / "model.safetensors").write_bytes(b"short"), "final"),
        (lambda run: (run / "final" / "model.safetensors").unlink(), "final"),
    ],
)
def test_the_doctor_finds_what_is_wrong(run: Path, capsys, damage, subject: str):
    damage(run)
    assert main(["doctor", str(run), "--json"]) == 3
    found = {finding["subject"]: finding["good"] for finding in json.loads(capsys.readouterr().out)}
    bad = [name for name, good in found.items() if good is False]
    assert subject in bad or (subject == "round trip" and "final" in bad)


def test_a_folder_of_several_runs_is_looked_at_run_by_run(run: Path, tmp_path: Path, capsys):
    out = tmp_path / "several"
    out.mkdir()
    shutil.copy(run / "recipe.yaml", out)
    assert main(["doctor", str(out)]) == 2
    assert "holds no checkpoint of a training run" in capsys.readouterr().err
    for seed in (0, 1):
        shutil.copytree(run, out / f"seed-{seed}")
    assert main(["doctor", str(out)]) == 0
    assert "seed-1: final weights" in capsys.readouterr().out
    (out / "seed-0" / "final" / "model.safetensors").write_bytes(b"short")
    assert main(["doctor", str(out)]) == 3
    assert "checks failed: seed-0: final" in capsys.readouterr().err


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _forget(path: Path) -> None:
    """Take away what a model says of its weights, as where an older version wrote it."""
    stamp = json.loads((path.parent / "run.json").read_text())
    del stamp["weights"]
    (path.parent / "run.json").write_text(json.dumps(stamp))


def _poison(path: Path) -> None:
    _forget(path)
    tensors = load_file(path)
    tensors["bert.embeddings.LayerNorm.weight"][0] = np.nan
    save_file(tensors, path)


def _drop(path: Path) -> None:
    _forget(path)
    tensors = load_file(path)
    del tensors["bert.encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, path)


def test_the_doctor_looks_at_the_machine(capsys):
    assert main(["doctor", "--json"]) == 0
    subjects = {finding["subject"] for finding in json.loads(capsys.readouterr().out)}
    assert {"nlptool", "torch", "threads", "GPU", "disk"} <= subjects


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys):
    for command, told in (("doctor", "is not a run (no recipe.yaml)"), ("export", "that folder is empty")):
        assert main([command, str(tmp_path)]) == 2
        assert told in capsys.readouterr().err


def test_guesses_are_those_of_transformers(run: Path, capsys):
    transformers = pytest.importorskip("transformers")
    text = "the old [MASK] stood by the [MASK]."
    assert main(["fill-mask", str(run / "final"), text, "--json", "--top", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "final")
    model = transformers.AutoModelForMaskedLM.from_pretrained(run / "final")
    inputs = tokenizer(text, return_tensors="pt")
    at = (inputs.input_ids[0] == tokenizer.mask_token_id).nonzero()[:, 0]
    with torch.no_grad():
        logits = model(**inputs).logits[0, at]
    best = logits.softmax(-1).topk(3)
    assert len(told) == 2
    for row, found in enumerate(told):
        shares = [guess["probability"] for guess in found["predictions"]]
        assert shares == pytest.approx(best.values[row].tolist(), abs=1e-5)
        assert found["predictions"][0]["text"] == tokenizer.decode(best.indices[row][:1]).strip()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [(["no mask here"], 2, "no [MASK] in"), (["[MASK] " * 70], 2, "tokens, the model reads 64")],
)
def test_a_text_that_cannot_be_asked_is_refused(
    run: Path, capsys, arguments: list[str], code: int, words: str
):
    assert main(["fill-mask", str(run / "final"), *arguments]) == code
    assert words in capsys.readouterr().err


def test_more_guesses_than_tokens_are_all_of_them(run: Path, capsys):
    assert main(["fill-mask", str(run / "final"), "the [MASK]", "--json", "--top", "99999"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    tokenizer = Tokenizer.load(run / "final")
    assert len(row["predictions"]) == tokenizer.vocab_size
    assert sum(guess["probability"] for guess in row["predictions"]) == pytest.approx(1, abs=1e-4)


def test_a_mask_may_go_by_the_name_that_the_tokenizer_has_for_it(run: Path, capsys):
    found, settings = [], json.loads((run / "final" / "config.json").read_text())
    del settings["tokenizer_fingerprint"]  # since another name makes another tokenizer
    (run / "final" / "config.json").write_text(json.dumps(settings))
    for name in ("[MASK]", "<mask>"):
        for path in (run / "final").glob("*token*.json"):
            path.write_text(path.read_text().replace("[MASK]", "<mask>"))
        assert main(["fill-mask", str(run / "final"), f"the old {name} reads", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)[0]["predictions"])
    assert found[0] == found[1]


def test_a_model_without_a_mask_token_is_told_what_it_lacks(run: Path, capsys):
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        named = json.loads((run / "final" / name).read_text())
        del named["mask_token"]
        (run / "final" / name).write_text(json.dumps(named))
    assert main(["fill-mask", str(run / "final"), "the old [MASK] reads"]) == 3
    assert "has no mask_token" in capsys.readouterr().err


def test_a_run_is_asked_by_its_own_name(run: Path, capsys):
    found = []
    for name in (run, run / "final"):
        assert main(["fill-mask", str(name), "the old [MASK] reads", "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]


def test_a_run_on_a_labelled_task_is_not_exported_but_names_what_is_there(tmp_path: Path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text("task: {name: classification}\n")
    assert main(["export", str(run), "-o", str(tmp_path / "hf")]) == 2
    assert "there is none yet" in capsys.readouterr().err
    for folder in ("seed-0/final", "seed-1/final"):
        (run / folder).mkdir(parents=True)
        (run / folder / "config.json").write_text("{}")
    assert main(["export", str(run), "-o", str(tmp_path / "hf")]) == 2
    told = "".join(capsys.readouterr().err.split())
    assert f"{run}/seed-0/final,{run}/seed-1/final" in told
