"""Calls into Rust libraries: their failures become our errors, and a tokenizer.json may do only so much."""

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain, takewhile
from pathlib import Path
from typing import IO, Any

import tokenizers
from tokenizers import Regex, normalizers, trainers

from nlptool.errors import DataError
from nlptool.formatting import json_value

LONGEST = 64  # characters of a replacement or prefix
GROWTH = 100  # characters that one may become through all replacements
SAMPLE = "a b é 한 中"
SHOWN = 40  # characters of a text in a message
STDERR = 2  # the descriptor
TURN = threading.Lock()


def is_panic(error: BaseException) -> bool:
    """Whether it is a Rust panic, whose class cannot be imported and is no Exception."""
    return type(error).__name__ == "PanicException"


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Rust's message of a panic ("thread panicked at ..."), which precedes the Python exception.

    Standard error is redirected to a file in memory. Without a panic, its content is written to standard error
    afterwards.
    """
    if not TURN.acquire(blocking=False):  # another thread has redirected it
        yield
        return
    panicked = False
    try:
        kept = os.dup(STDERR)
    except OSError:  # closed
        kept = STDERR
    try:
        if kept != STDERR:
            os.dup2(_memory(), STDERR)
        yield
    except BaseException as error:
        panicked = is_panic(error)
        raise
    finally:
        if kept != STDERR:
            os.dup2(kept, STDERR)
            os.close(kept)
            written = _written()
            if written and not panicked:
                os.write(STDERR, written)
        TURN.release()


@cache
def _memory() -> int:
    """The file that `quiet` redirects to; each process has its own."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("stderr")
    # It has no name to remove, which Windows refuses for an open file; it stays open.
    _kept.append(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
    return _kept[-1].fileno()


_kept: list[IO[bytes]] = []
"""Files that stay open as long as the process runs."""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_memory.cache_clear)


def _written() -> bytes:
    """The content of the file, which is emptied."""
    if not (size := os.lseek(_memory(), 0, os.SEEK_CUR)):
        return b""
    os.lseek(_memory(), 0, os.SEEK_SET)
    written = os.read(_memory(), size)
    os.ftruncate(_memory(), 0)
    os.lseek(_memory(), 0, os.SEEK_SET)
    return written


@contextmanager
def errors_as_data(name: str, doing: str) -> Iterator[None]:
    """Raise DataError where the library panics or raises a bare Exception. name: the tokenizer's file."""
    try:
        with quiet():
            yield
    except BaseException as error:
        if type(error) is not Exception and not is_panic(error):
            raise
        why = str(error).strip().partition("\n")[0]
        raise DataError(
            f"{name}: cannot {doing}: {why}", hint="use another tokenizer, or fix this one"
        ) from error


def start_of(text: str) -> str:
    """The beginning of a text for messages."""
    return json_value(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def require_bounded(found: Path, content: dict[str, Any]) -> None:
    """Raise DataError where replacements would make a text far longer.

    The library applies one after the other to the whole text, and cannot be stopped: ten that double it make it a
    thousand times longer, and one may insert a megabyte.
    """
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        blocks = list(_replacements(content.get(part)))
        inserted = [str(block.get("content") or block.get("prepend") or "") for block in blocks]
        if longest := max(map(len, inserted), default=0):
            if longest > LONGEST:
                raise _refused(
                    found, f"its {part} inserts {longest:,} characters; at most {LONGEST} are read"
                )
            if _grows(blocks, inserted):
                raise _refused(found, f"its {part} makes over {GROWTH} characters of one")


def _refused(found: Path, why: str) -> DataError:
    return DataError(f"{found}: {why}", hint="use another tokenizer, or remove the replacements")


def _replacements(value: Any) -> Iterator[dict[str, Any]]:
    """The blocks that insert text, in their order."""
    if isinstance(value, dict):
        if value.get("type") in ("Replace", "Prepend"):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        yield from chain.from_iterable(map(_replacements, value))


def _grows(blocks: list[dict[str, Any]], inserted: list[str]) -> bool:
    patterns = [block.get("pattern", {}) for block in blocks]
    text = " ".join([SAMPLE, *(str(pattern.get("String", "")) for pattern in patterns), *inserted])
    most = GROWTH * len(text)
    for pattern, content in zip(patterns, inserted, strict=True):
        one = Regex(pattern["Regex"]) if "Regex" in pattern else str(pattern.get("String", ""))
        if pattern:
            text = normalizers.Replace(one, content).normalize_str(text)
        if len(text) > most:
            return True
    return False


def train(encoder: tokenizers.Tokenizer, texts: Iterable[str], trainer: trainers.BpeTrainer) -> None:
    """Train in a thread, which Ctrl-C abandons: the library handles no signal, at times for a minute."""
    left = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            encoder.train_from_iterator(takewhile(lambda _: not left.is_set(), texts), trainer)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
    finally:
        left.set()
    if failed:
        raise failed[0]
