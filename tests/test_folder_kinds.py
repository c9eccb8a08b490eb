"""Every command that reads a folder names the kind of an unsuitable one, and the command that reads it."""

from pathlib import Path

import pytest

from nlptool import folder_kinds
from nlptool.cli import main


@pytest.fixture
def folders(tmp_path: Path, tiny_store: Path) -> dict[str, Path]:
    """One of each kind, as far as it tells what it is."""
    made = {
        name: tmp_path / name
        for name in (
            "corpus",
            "empty",
            "stopped",
            "asked",
            "model",
            "step-00000001",
            "tensorflow",
            "nanogpt",
            "mix",
        )
    }
    for path in made.values():
        path.mkdir()
    (made["corpus"] / "한국어.txt").write_text("글")
    (made["stopped"] / "recipe.yaml").write_text("store: store\nobjective:\n  name: mlm\n")
    (made["stopped"] / "checkpoints").mkdir()
    (made["asked"] / "recipe.yaml").write_text("tasks: [blimp]\nmodels: [a]\n")
    (made["model"] / "config.json").write_text("{}")
    (made["step-00000001"] / "model.safetensors").write_bytes(b"")
    for name in ("bert_config.json", "model.ckpt-100.index", "vocab.txt"):
        (made["tensorflow"] / name).touch()
    for name in ("ckpt.pt", "train.txt"):
        (made["nanogpt"] / name).touch()
    for name in (".DS_Store", "a.csv", "b.txt", "train.bin"):
        (made["mix"] / name).touch()
    return made | {"store": tiny_store, "gone": tmp_path / "gone"}


WORDS = {
    "corpus": "holds 한국어.txt; nlptool tokenize reads text",
    "empty": "is empty",
    "stopped": "has no final/ yet; resume it, or take a checkpoint of it with nlptool export",
    "asked": "a run of prompt, whose scores are in",
    "model": "a model: nlptool fill-mask, generate, evaluate and prompt ask it",
    "step-00000001": "a checkpoint; nlptool export RUN --checkpoint step-00000001",
    "store": "a token store, which the pretraining commands read",
    "gone": "nothing is there",
    "tensorflow": "holds bert_config.json, model.ckpt-100.index, vocab.txt; a TensorFlow checkpoint is not read",
    "nanogpt": "holds ckpt.pt, train.txt; ckpt.pt is a pickle",
    "mix": "holds a.csv, b.txt, train.bin; nlptool tokenize reads text: source.files=/",
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_folder_is_told_by_its_kind(kind: str, folders: dict[str, Path]):
    assert WORDS[kind] in folder_kinds.describe(folders[kind])


@pytest.mark.parametrize(
    "command",
    [
        ["export", "{}", "--out", "new"],
        ["report", "{}", "--out", "new"],
        ["fill-mask", "{}", "a [MASK]"],
        ["evaluate", "{}", "--minimal-pairs", "{}"],
        ["generate", "{}", "--text", "a"],
        ["finetune", "finetune/bert", "init_from={}", "--out", "new"],
        ["distill", "demo/distill", "teacher={}", "--out", "new"],
    ],
    ids=lambda command: command[0],
)
def test_no_command_takes_a_token_store_for_a_run_or_a_model(
    command: list[str], folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([word.format(folders["store"]) for word in command]) == 2
    assert WORDS["store"] in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "new").exists()


def test_a_file_of_a_model_is_told_with_its_folder(folders: dict[str, Path]):
    (weights := folders["model"] / "model.safetensors").touch()
    assert folder_kinds.describe(weights) == f"that is a file; name its folder, {folders['model']}"


def test_a_run_is_no_token_store(folders: dict[str, Path], tmp_path: Path, capsys):
    run = folders["stopped"]
    assert main(["pretrain-mlm", "demo/bert", f"store={run}", "--out", str(tmp_path / "new")]) == 2
    assert f"no token store at {run}: that is a run of pretraining" in capsys.readouterr().err
