"""`nlptool embed`: transformers' hidden states, pooled; files that others open."""

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlptool.cli import main
from nlptool.evaluation.embedding import Embedder
from nlptool.text.tokenizer import Tokenizer

TEXTS = ["the old bell", "", "한국어 📚 text", "a town reads " * 30, "winter", "é" * 9]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, write_teacher: Any) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    shape = {"layers": 5, "hidden": 32, "heads": 4, "max_positions": 48, "init": 0.2}
    made = {name: write_teacher(root / name, {"name": name, **shape}) for name in ("bert", "albert", "gpt2")}
    Tokenizer.load(made["gpt2"]).bare().save(made["gpt2"], max_length=48)  # as final/ has it
    return made


def theirs(folder: Path, text: str, pooling: str, layers: tuple[int, ...]) -> np.ndarray:
    """The pooled states of transformers, a text at a time."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(text, truncation=True, max_length=48, return_tensors="pt")["input_ids"]
    if not ids.numel():
        ids = torch.tensor([[tokenizer.eos_token_id]])
    with torch.no_grad():
        states = model(input_ids=ids.long(), output_hidden_states=True).hidden_states
    mean = torch.stack([states[layer] for layer in layers]).mean(0)[0]
    return {"cls": mean[0], "mean": mean.mean(0), "last": mean[-1]}[pooling].numpy()


@pytest.mark.parametrize(
    ("family", "pooling", "layers"),
    [
        ("bert", "cls", (-1,)),
        ("bert", "mean", (-1,)),
        ("bert", "mean", (-4, -3, -2, -1)),
        ("albert", "cls", (0, 2)),
        ("gpt2", "last", (-1,)),
        ("gpt2", "mean", (-2, -1)),
    ],
)
def test_vectors_are_the_pooled_states_of_transformers(
    family: str, pooling: str, layers: tuple[int, ...], folders: dict[str, Path]
):
    folder = folders[family]
    embedder = Embedder(folder, pooling, layers)  # type: ignore[arg-type]
    rows, cut = embedder.encode(TEXTS)
    found = embedder.vectors(rows)
    assert cut == 1
    expected = np.stack([theirs(folder, text, pooling, layers) for text in TEXTS])
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found[0] - found[2]).max() > 0.01
    alone = Embedder(folder, pooling, layers, batch_size=1)  # type: ignore[arg-type]
    assert np.abs(alone.vectors(rows) - found).max() < 1e-5


def test_a_file_becomes_parquet_and_npy_that_others_open(folders: dict[str, Path], tmp_path: Path, capsys):
    import pyarrow.parquet

    many = [random.Random(number).choice(TEXTS) + str(number) for number in range(2500)]
    rows = tmp_path / "texts.jsonl"
    rows.write_text("".join(json.dumps({"body": text}) + "\n" for text in many), "utf8")
    line = ["embed", str(folders["bert"]), str(rows), "--column", "body", "--json"]
    table, array = tmp_path / "v.parquet", tmp_path / "v.npy"
    assert main([*line, "--out", str(table)]) == 0
    told = json.loads(capsys.readouterr().out)
    cut = sum(text.startswith("a town") for text in many)
    assert (told["rows"], told["width"], told["pooling"], told["layers"], told["cut"]) == (
        2500,
        32,
        "mean",
        [5],
        cut,
    )
    assert main([*line, "--out", str(array), "--normalize", "--batch-size", "700"]) == 0
    read = pyarrow.parquet.read_table(table)
    assert read["text"].to_pylist() == many
    vectors = np.array(read["embedding"].to_pylist(), np.float32)
    embedder = Embedder(folders["bert"], "mean")
    assert np.abs(vectors - embedder.vectors(embedder.encode(many)[0])).max() < 1e-5
    found = np.load(array, mmap_mode="r")
    assert found.shape == (2500, 32)
    assert np.abs(found - vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).max() < 1e-5


def test_one_text_is_printed_and_a_row_without_text_stops_or_is_left_out(
    folders: dict[str, Path], tmp_path: Path, capsys
):
    model = str(folders["gpt2"])
    assert main(["embed", model, "--text", "the old", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    embedder = Embedder(folders["gpt2"], "last")
    assert found["embedding"] == embedder.vectors(embedder.encode(["the old"])[0])[0].tolist()
    rows, out = tmp_path / "texts.jsonl", tmp_path / "v.npy"
    rows.write_text('{"text": "a"}\n{"text": 3}\n{broken\n{"text": "b"}\n')
    assert main(["embed", model, str(rows), "--out", str(out)]) == 3
    assert f"{rows}:2: column 'text' holds 3" in capsys.readouterr().err
    assert not list(tmp_path.glob("*v.npy*"))
    assert main(["embed", model, str(rows), "--out", str(out), "--on-error", "skip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == 2
    assert np.load(out).shape == (2, 32)


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (["bert"], 2, "a file or --text: one of them"),
        (["bert", "FILE"], 2, "no file for the vectors"),
        (["bert", "FILE", "--out", "v.txt"], 2, "ends in .parquet or .npy"),
        (["bert", "FILE", "--out", "FILE.npy"], 2, "is there already"),
        (["bert", "nowhere", "--out", "v.npy"], 2, "nowhere: no such file"),
        (["bert", "--text", "x", "--layers", "6"], 2, "layers 6: the model has layers 1 to 5"),
        (["bert", "--text", "x", "--layers", "-1,5"], 2, "a layer is named twice"),
        (["bert", "--text", "x", "--layers", "all"], 2, "--layers all: expected numbers"),
        (["bert", "--text", "x", "--pooling", "last"], 2, "is an encoder, whose last token is [SEP]"),
        (["gpt2", "--text", "x", "--pooling", "cls"], 2, "is a decoder, which has no [CLS]"),
    ],
)
def test_what_cannot_be_done_is_said(
    line: list[str], code: int, told: str, folders: dict[str, Path], tmp_path: Path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "FILE"
    file.write_text("a\n")
    (tmp_path / "FILE.npy").write_text("kept")
    family, *rest = line
    assert main(["embed", str(folders[family]), *rest]) == code
    assert told in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILE", "FILE.npy"]
    assert (tmp_path / "FILE.npy").read_text() == "kept"


def test_lines_come_from_standard_input(folders: dict[str, Path], tmp_path: Path):
    import subprocess
    import sys

    line = [
        sys.executable,
        "-m",
        "nlptool",
        "embed",
        str(folders["bert"]),
        "-",
        "--out",
        str(tmp_path / "v.npy"),
    ]
    done = subprocess.run(line, input=b"the old\n\nwinter\n", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.load(io.BytesIO((tmp_path / "v.npy").read_bytes())).shape == (3, 32)
