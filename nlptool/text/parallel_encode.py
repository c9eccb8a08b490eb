"""Encodes documents on all cores, in their order, in constant memory.

The reading process forms batches of documents; worker processes normalise, segment and encode them; results come
back in the order of the corpus, so a store's bytes do not depend on the number of workers. Processes rather than
threads, because normalising and segmenting are Python code under the GIL.
"""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import DataError
from nlptool.text.bulk_encoder import BulkEncoder, EngineName
from nlptool.text.config import Normalise, Sentences
from nlptool.text.corpus import repaired
from nlptool.text.coverage import Loss
from nlptool.text.links import Links
from nlptool.text.mentions import Linker, MarkedText, Mention, carry, to_tokens, without_overlaps
from nlptool.text.normalise import normaliser
from nlptool.text.sentences import segmenter
from nlptool.text.store import dtype_for
from nlptool.text.token_places import from_bytes
from nlptool.text.tokenizer import Tokenizer
from nlptool.text.worker_processes import follow_reader, interrupts_held

BATCH = 1 << 19  # characters
FEW = 4  # batches; a smaller corpus is finished before a second process has started
RAW = Normalise(unicode="none")
Batch = list[str | MarkedText]
CHECKED = 1 << 10  # characters of each batch that the tokenizer itself encodes as a check


@dataclass(frozen=True)
class EncodeJob:
    """All settings that a worker needs."""

    tokenizer: dict[str, Any]
    """tokenizer.json"""
    engine: EngineName
    normalise: Normalise
    sentences: Sentences
    heldout: float
    """Share of documents held out, by the hash of their text."""
    linker: Linker | None = None
    """Finds mentions of entities in the documents; None: no links are made."""


@dataclass
class SplitBatch:
    """Documents of one split, in the form of SplitWriter.add_many."""

    ids: NDArray[np.integer[Any]]
    lengths: NDArray[np.int32]
    counts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    """[documents, 2]: bytes and words of their texts."""
    links: Links | None = None
    """Positions count from the first of these tokens."""


@dataclass
class EncodedDocuments:
    """A batch of documents."""

    parts: dict[str, SplitBatch]
    digests: bytes
    """Digests of the documents' texts, end to end."""
    single: int
    """Documents of one sentence."""
    dropped: Counter[str]
    loss: Loss
    """Losses of the tokenizer in their texts."""
    lost_links: Counter[str] = field(default_factory=Counter)
    """Mentions without a link, by reason."""


class Worker:
    """Normalises, segments and encodes batches of documents. Raises EngineDiffers."""

    def __init__(self, work: EncodeJob) -> None:
        tokenizer = Tokenizer(work.tokenizer)
        self._linker, self._config = work.linker, work.normalise
        self._byte_counts = tokenizer.byte_counts() if work.linker is not None else None
        self._engine = BulkEncoder(tokenizer, work.engine)
        self._normalise = normaliser(work.normalise)
        self._segment = segmenter(work.sentences)
        self._dtype = dtype_for(tokenizer.vocab_size)
        self._heldout = int(work.heldout * 2**64)

    def __call__(self, texts: Batch) -> EncodedDocuments:
        """Encode a batch; one stretch of it is compared with the tokenizer."""
        lost_links: Counter[str] = Counter()
        mentions: list[list[Mention]] = []
        if self._linker is None:
            normal = [text for text in map(self._normalise, map(text_of, texts)) if text]
        else:
            normal, mentions = self._linked(texts, self._linker, lost_links)
        documents = [self._segment(text) for text in normal]
        loss = Loss()
        ids, lengths = self._engine.encode(documents, loss)
        self._engine.verify([self._segment(_middle(max(normal, key=len, default="")))])
        links = None if self._linker is None else self._links(normal, documents, ids, mentions, lost_links)
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
                ids[tokens].astype(self._dtype),
                lengths[sentences],
                counts[chosen],
                sizes[chosen],
                None if links is None else _chosen(links, tokens),
            )
        kept = [digest for digest, count in zip(digests, counts, strict=True) if count]
        dropped = Counter({"nothing left after normalising": len(texts) - len(kept)})
        return EncodedDocuments(parts, b"".join(kept), int((counts == 1).sum()), +dropped, loss, lost_links)

    def _linked(
        self, texts: Batch, linker: Linker, lost: Counter[str]
    ) -> tuple[list[str], list[list[Mention]]]:
        """Normalised texts that are not blank, and the mentions of each."""
        normal, given_in = list[str](), list[list[Mention]]()
        for marked in texts:
            text, given, original = marked if isinstance(marked, MarkedText) else MarkedText(marked, None)
            read, found = linker.read(text if original is None else original, given, lost)
            if original is not None:
                found = carry(read, text, found, RAW, lost, repaired)
                read = text
            if normalised := self._normalise(read):
                normal.append(normalised)
                given_in.append(carry(read, normalised, found, self._config, lost))
        each = zip(normal, given_in, linker.search(normal), strict=True)
        return normal, [without_overlaps(text, given + found, lost) for text, given, found in each]

    def _links(
        self,
        normal: list[str],
        documents: list[list[str]],
        ids: NDArray[np.int32],
        mentions: list[list[Mention]],
        lost: Counter[str],
    ) -> Links:
        places = None
        if self._byte_counts is not None:
            places = from_bytes(normal, self._byte_counts[ids])
        if places is None:
            places = self._engine.places(documents)
        return to_tokens(normal, documents, places, mentions, lost)


def text_of(text: str | MarkedText) -> str:
    """The text."""
    return text.text if isinstance(text, MarkedText) else text


def batches(texts: Iterable[str | MarkedText], size: int = BATCH) -> Iterator[Batch]:
    """Texts in lists of about `size` characters; a longer text is a list of its own."""
    batch: Batch = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text_of(text)) + 64  # the cost of a document, however short
        if length >= size:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def encode(batches: Iterable[Batch], work: EncodeJob, workers: int) -> Generator[EncodedDocuments]:
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
    """Number of words of each text, separated by ASCII white space; no text is empty."""
    joined = np.frombuffer(b"\n".join([b"", *texts]), np.uint8)
    visible = joined > ord(" ")
    begins = np.flatnonzero(visible[1:] & ~visible[:-1])
    ends = np.cumsum([len(text) + 1 for text in texts])
    return np.diff(np.searchsorted(begins, ends), prepend=0)


def _chosen(links: Links, tokens: slice | NDArray[np.bool_]) -> Links:
    """The links of the chosen tokens, renumbered among these."""
    if isinstance(tokens, slice):
        return links
    kept = tokens[links.positions]
    number = np.cumsum(tokens) - 1
    return Links(number[links.positions[kept]], links.lengths[kept], links.entities[kept])


def _middle(text: str) -> str:
    start = max((len(text) - CHECKED) // 2, 0)
    return text[start : start + CHECKED]


_ours: list[Worker] = []  # the encoder of a worker process


def _start(work: EncodeJob) -> None:
    os.putenv("TOKENIZERS_PARALLELISM", "false")  # the cores are busy already
    follow_reader()
    _ours.append(Worker(work))


def _encode(texts: Batch) -> EncodedDocuments:
    return _ours[0](texts)
