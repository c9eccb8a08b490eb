"""Small files that become large ones, and records without end, in every format, under every command that reads rows."""

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hostile import Change, Trial

SIZE = 3 * 2**27  # bytes: enough that reading them whole is seen, few enough to be read in seconds
PART = 2**20
HELD = 5 * 2**28  # bytes that may be taken: a document of 16 MiB without a space, and its tokens
READ = {
    "tokenize": "tokenize tokenize.yaml source.files={} out=new",
    "tokenize, whole": "tokenize tokenize.yaml source={{files: {}}} out=new",
    "corpus": "corpus corpus.yaml sources={{text: {{files: {}}}}}",
    "predict": "predict bert-bell {} --out all.jsonl --on-error skip",
    "embed": "embed model {} --column sentence --out all.npy --on-error skip",
    "generate": "generate gpt2 {} --column sentence --max-new-tokens 1 --on-error skip",
    "finetune": "finetune tune.yaml data={{train: {}, validation: data/validation.jsonl}} train.steps=1 out=new",
    "evaluate": "evaluate bert-bell --task {} --out rated",
    "knowledge": "knowledge graph.yaml source.files={} out=new",
}


def _bodies() -> dict[str, tuple[bytes, bytes, bytes]]:
    """What a file begins with, is full of, and ends with."""
    return {
        "zeros": (b"", bytes(PART), b""),
        "one word": (b"", b"a" * PART, b""),
        "one line of words": (b"", b"bell " * (PART // 5), b""),
        "wide letters in one line": (b"", "한".encode() * (PART // 3), b""),
        "line ends": (b"", b"\n" * PART, b""),
        "returns": (b"", b"\r" * PART, b""),
        "spaces": (b"", b" " * PART, b""),
        "a record": (b'{"text": "', b"a" * PART, b'", "sentence": "a"}\n'),
        "a record's key": (b'{"', b"a" * PART, b'": 1}\n'),
        "a record's number": (b'{"text": ', b"9" * PART, b"}\n"),
        "escapes": (b'{"sentence": "', b"\\ud83d\\ude00" * (PART // 12), b'"}\n'),
        "keys": (b"{", b'"a": 1, ' * (PART // 8), b'"b": 1}\n'),
        "open lists": (b'{"text": ', b"[" * PART, b"\n"),
        "an array": (b"[", b"1, " * (PART // 3), b"1]"),
        "quotation marks": (b'sentence,b\n"', b'""' * (PART // 2), b'"\n'),
        "a quotation mark that is not closed": (b'sentence,b\n"', b"a,\n" * (PART // 3), b""),
        "separators": (b"sentence,b\n", b"," * PART, b"\n"),
        "tabs": (b"a\tb\tc\n", b"\t" * PART, b"\n"),
        "tags": (b"<html>", b"<div>" * (PART // 5), b""),
        "an entity": (b"<html>&", b"a" * PART, b""),
    }


OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
FORMATS = (".txt", ".jsonl", ".csv", ".tsv", ".html", ".xml", ".warc", ".conll")


@cache
def bomb(body: str, packing: str) -> bytes:
    """The bytes of such a file."""
    begin, middle, end = _bodies()[body]
    if packing == ".zst":
        import pyarrow

        sink = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(sink, "zstd") as file:
            file.write(begin)
            for _ in range(SIZE // PART):
                file.write(middle)
            file.write(end)
        return sink.getvalue().to_pybytes()
    if packing == ".gz":
        pieces = [gzip.compress(begin), gzip.compress(middle) * (SIZE // PART), gzip.compress(end)]
    elif packing == ".bz2":
        pieces = [bz2.compress(begin), bz2.compress(middle) * (SIZE // PART), bz2.compress(end)]
    else:
        pieces = [lzma.compress(begin), lzma.compress(middle) * (SIZE // PART), lzma.compress(end)]
    return b"".join(pieces)  # members of one file


def trials() -> Iterator[Trial]:
    """Each body, packed in each way, in each format, under each command."""
    for packing in (".gz", ".zst", ".bz2", ".xz"):
        for suffix in FORMATS:
            for body in _bodies():
                for command, line in READ.items():
                    name = f"bomb{suffix}{packing}"
                    words = line.format(name)
                    yield Trial(
                        f"bombs, {command}",
                        f"{body} {name}",
                        _writing(name, body, packing),
                        _split(words),
                        grown=HELD,
                        endless=True,
                    )
    for what, change in PARQUETS.items():
        for command, line in READ.items():
            yield Trial(
                f"bombs, {command}",
                f"parquet, {what}",
                change,
                _split(line.format("bomb.parquet")),
                endless=True,
            )
    for size in (2**31, 2**40):
        for suffix in (".txt", ".jsonl", ".csv", ".tsv", ".parquet"):
            for command, line in READ.items():
                hole = _hole(f"hole{suffix}", size)
                if size > 2**31 and suffix != ".parquet":
                    continue  # it would be read for hours, in bounded memory
                yield Trial(
                    f"holes, {command}",
                    f"{size} {suffix}",
                    hole,
                    _split(line.format(f"hole{suffix}")),
                    endless=True,
                )


def _split(line: str) -> list[str]:
    """Words; what is in braces is one."""
    words: list[str] = []
    for word in line.split():
        if words and words[-1].count("{") > words[-1].count("}"):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _writing(name: str, body: str, packing: str) -> Change:
    return lambda world: (world / name).write_bytes(bomb(body, packing))


def _hole(name: str, size: int) -> Change:
    def change(world: Path) -> None:
        with (world / name).open("wb") as file:
            file.truncate(size)

    return change


def _parquet(make: Callable[[], Any], **how: object) -> Change:
    def change(world: Path) -> None:
        import pyarrow.parquet

        pyarrow.parquet.write_table(make(), world / "bomb.parquet", **how)

    return change


def _same(value: object, count: int) -> Any:
    import pyarrow

    many = pyarrow.array([value]).take(pyarrow.array([0] * 1_000))
    return _pair(pyarrow.chunked_array([many] * (count // 1_000)))


def _pair(values: object) -> Any:
    import pyarrow

    return pyarrow.table({"text": values, "sentence": values})


def _nothing() -> Any:
    import pyarrow

    return _pair(pyarrow.nulls(10**7))


def _wide() -> Any:
    import pyarrow

    return pyarrow.table({f"c{n}": ["a"] for n in range(5_000)} | {"text": ["a"], "sentence": ["a"]})


def _twice() -> Any:
    import pyarrow

    return pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])


PARQUETS = {
    "a million rows of one text": _parquet(
        lambda: _same("a bell", 1_000_000), compression="zstd", row_group_size=1_000_000
    ),
    "a long text in each row": _parquet(
        lambda: _same("a bell " * 60_000, 1_000), compression="zstd", row_group_size=1_000
    ),
    "a list in each row": _parquet(lambda: _same([[0] * 1_000], 60_000), compression="zstd"),
    "nothing in each row": _parquet(_nothing),
    "thousands of columns": _parquet(_wide),
    "bytes": _parquet(lambda: _pair([b"\xff" * 99] * 9)),
    "a column twice": _parquet(_twice),
}
