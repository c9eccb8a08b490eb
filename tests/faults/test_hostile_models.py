"""Model folders that others made, hostile ones: each ends in one line with exit code 3, or works; nothing is run."""

import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from nlptool.cli import main

Change = Callable[[Path], None]
ESCAPE = "\x1b[31m\u202e\x9b2J\x07"
FAMILIES = ("bert", "albert", "distilbert")
SAMPLE = 3  # trials of each kind in the default suite
NUMBERS = (-1, 0, 3, 9_999, 10**9, 10**12, 2**63, 10**40, 1.5, None, "7", [7], {"a": 7}, True, float("inf"))
SIZES = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "type_vocab_size",
    "max_position_embeddings", "num_attention_heads",
)  # fmt: skip
PANICS = (
    r"(x+x+)+y",
    r"(x+)+y",
    r"(x|x)+y",
    r"(x*)*y",
    r"(x|xx)+y",
    r"([x-z]+)*1",
    r"(.*x){20}y",
    r"(x?){40}x{40}y",
)


def edited(name: str, change: Callable[[Any], None]) -> Change:
    """A change of a JSON file of the folder."""

    def apply(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return apply


def put(name: str, **values: Any) -> Change:
    return edited(name, lambda whole: whole.update(values))


def replacing(*pairs: tuple[dict[str, str], str]) -> Change:
    steps = [{"type": "Replace", "pattern": pattern, "content": content} for pattern, content in pairs]
    return put("tokenizer.json", normalizer={"type": "Sequence", "normalizers": steps})


def split(pattern: str) -> Change:
    return put(
        "tokenizer.json",
        pre_tokenizer={
            "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False,
        },
    )  # fmt: skip


def configurations() -> Iterator[tuple[str, Change]]:
    for key in SIZES:
        for number in NUMBERS:
            yield f"{key}={number!r}", put("config.json", **{key: number})
    for key in ("model_type", "hidden_act", "layer_norm_eps", "hidden_dropout_prob", "id2label"):
        for value in (ESCAPE, [ESCAPE], {ESCAPE: ESCAPE}, -1, 10**400):
            yield f"{key}={str(value)[:30]!r}", put("config.json", **{key: value})
    for text in ("", "[]", "null", "{", "\0", "[" * 100_000, '{"vocab_size": ' + "9" * 5_000 + "}"):
        yield (
            f"config.json {text[:20]!r}",
            lambda folder, text=text: (folder / "config.json").write_text(text),
        )


def tokenizers() -> Iterator[tuple[str, Change]]:
    for pattern in PANICS:
        yield f"pattern {pattern}", split(pattern)
    for size in (65, 1_000, 1_000_000):
        yield f"insert {size}", replacing(({"Regex": "."}, "a" * size))
        yield f"prepend {size}", put("tokenizer.json", normalizer={"type": "Prepend", "prepend": "a" * size})
    for count in (8, 16, 40):
        yield f"double {count}", replacing(*[({"Regex": "."}, "aa")] * count)
        yield f"double a {count}", replacing(*[({"String": "a"}, "aa")] * count)
    for model in (
        {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"},
        {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "?", "max_input_chars_per_word": 9},
        {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": None, "byte_fallback": False},
        {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7},
        {"type": "BPE", "vocab": {"a": 0, ESCAPE: 1}, "merges": [f"a {ESCAPE}"]},
        {"type": ESCAPE},
        {},
    ):
        yield f"model {str(model)[:40]!r}", put("tokenizer.json", model=model)
    for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor", "added_tokens"):
        for value in (7, ESCAPE, {"type": ESCAPE}, [{"id": 2**40, "content": ESCAPE, "special": True}]):
            yield f"{part}={value!r}", put("tokenizer.json", **{part: value})
    yield from flipped("tokenizer.json", 40)
    yield (
        "precompiled",
        put("tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    )
    for text in ("", "[]", "null", "{", "\0", "[" * 100_000):
        yield (
            f"tokenizer.json {text[:20]!r}",
            lambda folder, text=text: (folder / "tokenizer.json").write_text(text),
        )


def shards() -> Iterator[tuple[str, Change]]:
    def indexed(index: Any) -> Change:
        def apply(folder: Path) -> None:
            (folder / "model.safetensors").rename(folder / "one.safetensors")
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))

        return apply

    for name in (
        "../one.safetensors",
        "/etc/passwd",
        "",
        ".",
        "..",
        "none",
        ESCAPE,
        "a/b",
        "\0",
        "x" * 300,
        7,
        None,
    ):
        yield f"shard {str(name)[:20]!r}", indexed({"weight_map": {"a": name}})
    for whole in (
        [],
        {},
        {"weight_map": 7},
        {"weight_map": []},
        {"weight_map": {}},
        {"weight_map": {"a": {}}},
    ):
        yield f"index {whole}", indexed(whole)

    def tensors(change: Callable[[dict[str, Any]], Any]) -> Change:
        def apply(folder: Path) -> None:
            state = load_file(folder / "model.safetensors")
            change(state)
            save_file(state, folder / "model.safetensors")

        return apply

    def widest(state: dict[str, Any]) -> tuple[str, Any]:
        return max(state.items(), key=lambda item: item[1].numel())

    def embeddings(change: Callable[[Any], Any]) -> Change:
        def apply(state: dict[str, Any]) -> None:
            name, tensor = widest(state)
            state[name] = change(tensor)

        return tensors(apply)

    yield from flipped("model.safetensors", 40)
    yield "tensor's name", tensors(lambda state: state.update({ESCAPE: widest(state)[1].clone()}))
    yield "a tensor is missing", tensors(lambda state: state.pop(widest(state)[0]))
    yield "rank", embeddings(lambda t: t[0].clone())
    yield "whole numbers", embeddings(lambda t: t.int())
    yield "not finite", embeddings(lambda t: t / 0)
    for data in (
        b"",
        b"\xff" * 8,
        b"\x10" + bytes(7) + b"{" * 16,
        bytes(2_000),
        (2**40).to_bytes(8, "little"),
    ):
        yield (
            f"weights {data[:9]!r}",
            lambda folder, data=data: (folder / "model.safetensors").write_bytes(data),
        )


def flipped(name: str, count: int) -> Iterator[tuple[str, Change]]:
    """A bit of the file's first 4,096 bytes is turned over, or the file is cut there."""
    draws = random.Random(name)

    def damage(place: int, bit: int) -> Change:
        def apply(folder: Path) -> None:
            data = bytearray((folder / name).read_bytes())
            place_there = place % min(len(data), 4_096)
            data[place_there] ^= 1 << bit
            (folder / name).write_bytes(data if place % 3 else data[:place_there])

        return apply

    for _ in range(count):
        place, bit = draws.randrange(4_096), draws.randrange(8)
        yield f"{name} bit {place}.{bit}", damage(place, bit)


class Runs:
    """What a pickle may hold: a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('a pickle was run')",))


def pickles() -> Iterator[tuple[str, Change]]:
    def only(name: str, renamed: bool) -> Change:
        def apply(folder: Path) -> None:
            if renamed:
                (folder / "model.safetensors").unlink()
            (folder / name).write_bytes(pickle.dumps(Runs()))

        return apply

    for name in ("pytorch_model.bin", "model.safetensors", "model.safetensors.index.json", "model.pt"):
        yield f"{name} is a pickle", only(name, renamed=True)
    for name in ("pytorch_model.bin", "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        yield f"a pickle as {name}", only(name, renamed=False)
    yield "code", put("config.json", auto_map={"AutoModel": "evil.py"}, trust_remote_code=True)


KINDS = {
    "configurations": configurations, "tokenizers": tokenizers, "shards": shards, "pickles": pickles,
}  # fmt: skip


def wrong(code: int, out: str, err: str) -> str | None:
    """Why an end is not right: a documented code, one error line, nothing that a terminal obeys."""
    if code not in (0, 3):
        return f"ended with {code}: {err[:200]}"
    if code and sum(line.startswith("error: ") for line in err.splitlines()) != 1:
        return f"not one error: {err[:200]}"
    if "Traceback" in err or any(sign in out + err for sign in "\x1b\x9b\u202e\x07"):
        return f"a traceback, or a control character: {err[:200]!r}"
    if max(map(len, err.splitlines()), default=0) > 2_000:
        return "a line of over 2,000 characters"
    return None


@pytest.fixture(scope="module")
def models(write_teacher: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family of encoders, whose tokenizer may be another."""
    made = {}
    for family in FAMILIES:
        block = {"name": family, "layers": 2, "hidden": 16, "heads": 2, "max_positions": 128}
        folder: Path = write_teacher(tmp_path_factory.mktemp("hostile") / family, block)
        config = json.loads((folder / "config.json").read_text())
        config.pop("tokenizer_fingerprint", None)
        (folder / "config.json").write_text(json.dumps(config))
        made[family] = folder
    return made


def tried(
    name: str, change: Change, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> str | None:
    """What was wrong with the end of one trial."""
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    change(folder)
    code = main(["fill-mask", str(folder), f"the river {'x' * 60} [MASK]."])
    why = wrong(code, *capfd.readouterr())
    shutil.rmtree(folder)
    return f"{model.name}, {name}: {why}" if why else None


@pytest.mark.parametrize("kind", KINDS)
def test_some_hostile_folders_end_in_one_line(
    kind: str, models: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, change in random.Random(7).sample(list(KINDS[kind]()), SAMPLE):
        assert tried(name, change, models["bert"], tmp_path, capfd) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_hostile_folders_end_in_one_line(
    kind: str, models: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ends = [
        tried(name, change, model, tmp_path, capfd)
        for model in models.values()
        for name, change in KINDS[kind]()
    ]
    print(f"{kind}: tried {len(ends)}, right {ends.count(None)}")
    assert not any(ends), "\n".join(filter(None, ends))


@pytest.mark.parametrize("change", [split(PANICS[0]), replacing(*[({"Regex": "."}, "aa")] * 40)])
def test_a_tokenizer_that_panics_or_multiplies_its_input_is_named(
    change: Change, models: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models["bert"], folder)
    change(folder)
    code = main(["fill-mask", str(folder), "x" * 60 + " [MASK]"])
    assert code == 3
    assert f"error: {folder / 'tokenizer.json'}: " in capfd.readouterr().err
