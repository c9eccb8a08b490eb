"""Documents to token ids on all cores, in their order, in constant memory.

The process that reads cuts documents into batches; worker processes normalise, segment and encode them; results
come back in the order of the corpus, so a store's bytes do not depend on the number of workers. Processes, not
threads: segmenting holds Python's lock (benchmarks/REPORT-tokenize.md).
"""

import hashlib
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import get_context, parent_process
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import DataError
from nlptool.text.config import Normalise, Sentences
from nlptool.text.engine import Engine, EngineName
from nlptool.text.normalise import normaliser
from nlptool.text.sentences import segmenter
from nlptool.text.store import SPLITS, dtype_for
from nlptool.text.tokenizer import Tokenizer

BATCH = 1 << 18  # characters
FEW = 4  # batches; a smaller corpus is done before a second process has started
CHECKED = 1 << 12  # characters of each batch that are encoded by the tokenizer itself, too


@dataclass(frozen=True)
class Work:
    """All that a worker must know."""

    tokenizer: dict[str, Any]
    """tokenizer.json"""
    engine: EngineName
    normalise: Normalise
    sentences: Sentences
    heldout: float
    """Share of documents held out, by the hash of their text."""


@dataclass
class Part:
    """Documents of one split, as SplitWriter.add_many takes them, and their sizes in other units."""

    ids: NDArray[np.integer[Any]]
    lengths: NDArray[np.int32]
    counts: NDArray[np.int64]
    bytes: int
    words: int
    last: tuple[int, int]
    """Bytes and words of the last document."""


@dataclass
class Encoded:
    """A batch of documents."""

    parts: dict[str, Part]
    digests: bytes
    """Of the documents' texts, end to end."""
    single: int
    """Documents of one sentence."""
    dropped: Counter[str] = field(default_factory=Counter)


class Worker:
    """Normalises, segments and encodes batches of documents. Raises EngineDiffers."""

    def __init__(self, work: Work) -> None:
        tokenizer = Tokenizer(work.tokenizer)
        self._engine = Engine(tokenizer, work.engine)
        self._normalise = normaliser(work.normalise)
        self._segment = segmenter(work.sentences)
        self._dtype = dtype_for(tokenizer.vocab_size)
        self._heldout = int(work.heldout * 2**64)

    def __call__(self, texts: list[str]) -> Encoded:
        """Encode a batch; one stretch of it is checked against the tokenizer."""
        splits = {name: _Gathered() for name in SPLITS}
        encoded = Encoded({}, b"", 0)
        digests, longest = [], ""
        for raw in texts:
            text = self._normalise(raw)
            sentences = self._segment(text)
            ids, lengths = self._engine.encode(sentences)
            lengths = lengths[lengths > 0]
            if not len(lengths):
                encoded.dropped["nothing left after normalising"] += 1
                continue
            data = text.encode()
            digest = hashlib.blake2b(data, digest_size=16).digest()
            held_out = int.from_bytes(digest[:8], "big") < self._heldout
            splits["heldout" if held_out else "train"].add(ids.astype(self._dtype), lengths, data, text)
            digests.append(digest)
            encoded.single += len(lengths) == 1
            longest = max(longest, text, key=len)
        middle = max(len(longest) // 2 - CHECKED // 2, 0)
        self._engine.verify(self._segment(longest[middle : middle + CHECKED]))
        encoded.digests = b"".join(digests)
        encoded.parts = {name: split.part(self._dtype) for name, split in splits.items()}
        return encoded


def batches(texts: Iterable[str], size: int = BATCH) -> Iterator[list[str]]:
    """Texts in lists of about `size` characters; a longer text is a list of its own."""
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text) + 64  # what a document costs however short it is
        if length >= size:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def encode(batches: Iterable[list[str]], work: Work, workers: int) -> Generator[Encoded]:
    """Encode batches in `workers` processes, in order. Close the iterator to stop early.

    Raises EngineDiffers when a check fails, DataError when a worker dies.
    """
    stream = iter(batches)
    head = list(islice(stream, FEW))
    if workers == 1 or len(head) < FEW:
        yield from map(Worker(work), chain(head, stream))
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (work,))
    pending: deque[Future[Encoded]] = deque()
    try:
        with _deaf():  # workers inherit it: an interrupt is the reader's to handle
            pending.append(pool.submit(_encode, head[0]))
        for batch in chain(head[1:], stream):
            pending.append(pool.submit(_encode, batch))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise DataError(
            "a worker process died; most often the system ran out of memory",
            hint="use fewer: workers=1",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Gathered:
    """Documents of one split while a batch is encoded."""

    ids: list[NDArray[np.integer[Any]]] = field(default_factory=list)
    lengths: list[NDArray[np.int32]] = field(default_factory=list)
    size: int = 0
    words: int = 0
    last: tuple[int, int] = (0, 0)

    def add(self, ids: NDArray[np.integer[Any]], lengths: NDArray[np.int32], data: bytes, text: str) -> None:
        self.ids.append(ids)
        self.lengths.append(lengths)
        self.last = (len(data), len(text.split()))
        self.size += self.last[0]
        self.words += self.last[1]

    def part(self, dtype: np.dtype[Any]) -> Part:
        return Part(
            np.concatenate([np.empty(0, dtype), *self.ids]),
            np.concatenate([np.empty(0, np.int32), *self.lengths]),
            np.array([len(lengths) for lengths in self.lengths], np.int64),
            self.size,
            self.words,
            self.last,
        )


_ours: list[Worker] = []  # in a worker process, the one worker


def _start(work: Work) -> None:
    os.putenv("TOKENIZERS_PARALLELISM", "false")  # the cores are taken already
    threading.Thread(target=_follow, daemon=True).start()
    _ours.append(Worker(work))


def _follow() -> None:
    """End with the reader, however it ends."""
    reader = parent_process()
    if reader is not None:
        reader.join()
        os._exit(1)


def _encode(texts: list[str]) -> Encoded:
    return _ours[0](texts)


@contextmanager
def _deaf() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
