"""Documents to token ids on all cores, in their order, in constant memory.

The process that reads cuts documents into batches; worker processes normalise, segment and encode them; results
come back in the order of the corpus, so a store's bytes do not depend on the number of workers. Processes, not
threads, because normalising and segmenting are Python code, of which one thread runs at a time.
"""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import DataError
from nlptool.text.bulk_encoder import BulkEncoder, EngineName
from nlptool.text.config import Normalise, Sentences
from nlptool.text.coverage import Loss
from nlptool.text.normalise import normaliser
from nlptool.text.sentences import segmenter
from nlptool.text.store import dtype_for
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.worker_processes import follow_reader, interrupts_held

BATCH = 1 << 19  # characters
FEW = 4  # batches; a smaller corpus is done before a second process has started
CHECKED = 1 << 10  # characters of each batch that are encoded by the tokenizer itself, too


@dataclass(frozen=True)
class EncodeJob:
    """All that a worker must know."""

    tokenizer: dict[str, Any]
    """tokenizer.json"""
    engine: EngineName
    normalise: Normalise
    sentences: Sentences
    heldout: float
    """Share of documents held out, by the hash of their text."""


@dataclass
class SplitBatch:
    """Documents of one split, as SplitWriter.add_many takes them."""

    ids: NDArray[np.integer[Any]]
    lengths: NDArray[np.int32]
    counts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    """[documents, 2]: bytes and words of their texts."""


@dataclass
class EncodedDocuments:
    """A batch of documents."""

    parts: dict[str, SplitBatch]
    digests: bytes
    """Of the documents' texts, end to end."""
    single: int
    """Documents of one sentence."""
    dropped: Counter[str]
    loss: Loss
    """What of their texts the tokenizer could not spell."""


class Worker:
    """Normalises, segments and encodes batches of documents. Raises EngineDiffers."""

    def __init__(self, work: EncodeJob) -> None:
        tokenizer = Tokenizer(work.tokenizer)
        self._engine = BulkEncoder(tokenizer, work.engine)
        self._normalise = normaliser(work.normalise)
        self._segment = segmenter(work.sentences)
        self._dtype = dtype_for(tokenizer.vocab_size)
        self._heldout = int(work.heldout * 2**64)

    def __call__(self, texts: list[str]) -> EncodedDocuments:
        """Encode a batch; one stretch of it is checked against the tokenizer."""
        normal = [text for text in map(self._normalise, texts) if text]
        documents = [self._segment(text) for text in normal]
        loss = Loss()
        ids, lengths = self._engine.encode(documents, loss)
        self._engine.verify([self._segment(_middle(max(normal, key=len, default="")))])
        owner = np.repeat(np.arange(len(normal)), [len(sentences) for sentences in documents])
        some = lengths > 0  # a tokenizer may leave nothing of a sentence
        owner, lengths = owner[some], lengths[some]
        counts = np.bincount(owner, minlength=len(normal))
        data = [text.encode() for text in normal]
        digests = [hashlib.blake2b(each, digest_size=16).digest() for each in data]
        sizes = np.stack([np.array([len(each) for each in data], np.int64), _words(data)], axis=1)
        heldout = np.array([int.from_bytes(digest[:8], "big") < self._heldout for digest in digests], bool)
        parts = {}
        for name, chosen in (("train", ~heldout & (counts > 0)), ("heldout", heldout & (counts > 0))):
            sentences = chosen[owner]
            tokens = slice(None) if sentences.all() else np.repeat(sentences, lengths)
            parts[name] = SplitBatch(
                ids[tokens].astype(self._dtype), lengths[sentences], counts[chosen], sizes[chosen]
            )
        kept = [digest for digest, count in zip(digests, counts, strict=True) if count]
        dropped = Counter({"nothing left after normalising": len(texts) - len(kept)})
        return EncodedDocuments(parts, b"".join(kept), int((counts == 1).sum()), +dropped, loss)


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


def encode(batches: Iterable[list[str]], work: EncodeJob, workers: int) -> Generator[EncodedDocuments]:
    """Encode batches in `workers` processes, in order. Close the iterator to stop early.

    Raises EngineDiffers when a check fails, DataError when a worker dies.
    """
    stream = iter(batches)
    head = list(islice(stream, FEW))
    if workers == 1 or len(head) < FEW:
        yield from map(Worker(work), chain(head, stream))
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (work,))
    pending: deque[Future[EncodedDocuments]] = deque()
    try:
        for batch in chain(head, stream):
            with interrupts_held():  # the pool starts its processes one by one, as batches come
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


def _words(texts: list[bytes]) -> NDArray[np.int64]:
    """How many words, between ASCII white space, each of some texts has; none is empty."""
    joined = np.frombuffer(b"\n".join([b"", *texts]), np.uint8)
    visible = joined > ord(" ")
    begins = np.flatnonzero(visible[1:] & ~visible[:-1])
    ends = np.cumsum([len(text) + 1 for text in texts])
    return np.diff(np.searchsorted(begins, ends), prepend=0)


def _middle(text: str) -> str:
    start = max((len(text) - CHECKED) // 2, 0)
    return text[start : start + CHECKED]


_ours: list[Worker] = []  # in a worker process, the one worker


def _start(work: EncodeJob) -> None:
    os.putenv("TOKENIZERS_PARALLELISM", "false")  # the cores are taken already
    follow_reader()
    _ours.append(Worker(work))


def _encode(texts: list[str]) -> EncodedDocuments:
    return _ours[0](texts)
