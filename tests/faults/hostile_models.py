"""Model folders that others made, hostile ones: what is done to a folder of whatever family.

The files, and the keys of those that are JSON, are the ones that nlptool writes, so tomorrow's is tried, too.
"""

import json
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hostile_names import NAMES
from safetensors.numpy import load_file, save_file

Change = Callable[[Path], None]
ESCAPE = "\x1b[31m\u202e\x9b2J\x07"
NUMBERS = (
    -1,
    0,
    3,
    9_999,
    10**9,
    10**12,
    2**63,
    10**40,
    10**400,
    1.5,
    1e-300,
    1e300,
    float("inf"),
    float("nan"),
)
OTHERS = (None, True, "7", "08", "", [], {}, [7], {"a": 7}, [[[]]], [ESCAPE], {ESCAPE: ESCAPE}, *NAMES)
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
DTYPES = ("float64", "float16", "bfloat16", "int8", "uint8", "bool", "int64", "complex64", "float8_e4m3fn")


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


def settings(model: Path) -> Iterator[tuple[str, Change]]:
    """Each key of each JSON file but the tokenizer's, with each value; and these files as something else."""
    for path in sorted(model.glob("*.json")):
        if path.name == "tokenizer.json":
            continue
        for keys in _keys(json.loads(path.read_text())):
            for value in (*NUMBERS, *OTHERS):
                yield f"{path.name} {'.'.join(keys)}={value!r:.40}", _setting(path.name, keys, value)
            yield f"{path.name} without {'.'.join(keys)}", _setting(path.name, keys, ...)
        for text in TEXTS:
            yield f"{path.name} {text[:20]!r}", _instead(path.name, text)
        yield from flipped(path.name, 40)
    for key in (
        "auto_map",
        "quantization_config",
        "torch_dtype",
        "rope_scaling",
        "id2label",
        "eos_token_id",
        "pruned_heads",
    ):
        for value in (*NUMBERS, *OTHERS):
            yield f"config.json {key}={value!r:.40}", put("config.json", **{key: value})


TEXTS = (
    "", "[]", "null", "{", "\0", "7", '""', "{}", "[" * 100_000, '{"vocab_size": ' + "9" * 5_000 + "}", "\ufeff{}",
    "NaN",
    '{"a": 1, "a": 2}', '{"a": "\\ud800"}', "{" + '"a":{' * 5_000 + "}" * 5_001,
)  # fmt: skip


def _keys(value: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items():
        yield (*before, key)
        if isinstance(inner, dict):
            yield from _keys(inner, (*before, key))


def _setting(name: str, keys: tuple[str, ...], value: Any) -> Change:
    def change(whole: Any) -> None:
        for key in keys[:-1]:
            whole = whole[key]
        if value is ...:
            del whole[keys[-1]]
        else:
            whole[keys[-1]] = value

    return edited(name, change)


def _instead(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text, "utf8", "surrogatepass") and None


def tokenizers(model: Path) -> Iterator[tuple[str, Change]]:
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
    for text in TEXTS:
        yield f"tokenizer.json {text[:20]!r}", _instead("tokenizer.json", text)
    yield "no tokenizer", lambda folder: (folder / "tokenizer.json").unlink()
    for name in NAMES:
        yield (
            f"added token {name[:30]!r}",
            edited("tokenizer.json", lambda whole, name=name: _named(whole, name)),
        )


def _named(whole: Any, name: str) -> None:
    """Let tokens have a name: an added one, and, in a vocabulary, the last but one."""
    whole["added_tokens"].append(
        {"id": 299, "content": name or "\n", "special": False}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    )
    vocab = whole["model"]["vocab"]
    last = max(vocab, key=vocab.get)
    vocab[name] = vocab.pop(last)


def shards(model: Path) -> Iterator[tuple[str, Change]]:
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
        return max(state.items(), key=lambda item: item[1].size)

    def embeddings(change: Callable[[Any], Any]) -> Change:
        def apply(state: dict[str, Any]) -> None:
            name, tensor = widest(state)
            state[name] = change(tensor)

        return tensors(apply)

    yield from flipped("model.safetensors", 40)
    yield "tensor's name", tensors(lambda state: state.update({ESCAPE: widest(state)[1].copy()}))
    yield "a tensor is missing", tensors(lambda state: state.pop(widest(state)[0]))
    for dtype in DTYPES:
        yield f"all {dtype}", _as(dtype, 10_000)
        yield f"one of {dtype}", _as(dtype, 1)
    for change in ("bigger", "smaller", "empty", "scalar"):
        yield f"embeddings {change}", embeddings(lambda t, change=change: _resized(t, change))
    yield "rank", embeddings(lambda t: t[0].copy())
    yield "whole numbers", embeddings(lambda t: t.astype("int32"))
    yield "not finite", embeddings(lambda t: t * np.float32("inf"))
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


def _as(dtype: str, most: int) -> Change:
    """So many tensors of another type; numpy does not have all of them."""

    def change(folder: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        path = folder / "model.safetensors"
        state = load_file(path)
        save_file(state | {k: state[k].to(getattr(torch, dtype)) for k in sorted(state)[:most]}, path)

    return change


def _resized(tensor: Any, change: str) -> Any:
    return {
        "bigger": np.concatenate([tensor, tensor]), "smaller": tensor[: len(tensor) // 2].copy(),
        "empty": tensor[:0].copy(), "scalar": np.zeros((), np.float32),
    }[change]  # fmt: skip


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


def pickles(model: Path) -> Iterator[tuple[str, Change]]:
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


KINDS = {"settings": settings, "tokenizers": tokenizers, "weights": shards, "pickles": pickles}


def strange(folder: Path) -> None:
    """Let a folder be one of which nlptool does not know that it has written it."""
    (folder / "run.json").unlink(missing_ok=True)
    edited("config.json", lambda whole: whole.pop("tokenizer_fingerprint", None))(folder)
