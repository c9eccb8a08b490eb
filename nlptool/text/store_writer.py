"""Writes a token store: encoded batches into its two splits, and statistics."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptool import __version__
from nlptool.errors import DataError
from nlptool.formatting import percent
from nlptool.manifests import recorded
from nlptool.text.coverage import Loss
from nlptool.text.links import LinkWriter
from nlptool.text.parallel_encode import Batch, EncodeJob, SplitBatch, encode
from nlptool.text.store import SPLITS, SplitWriter, dtype_for
from nlptool.text.tokenizer import Tokenizer

ENOUGH = 1 << 25  # bytes of text encoded before the tokenizer's coverage is judged


@dataclass
class Counts:
    """Sizes of a split; `bytes` and `words` (separated by white space) are those of its text."""

    documents: int = 0
    sentences: int = 0
    tokens: int = 0
    bytes: int = 0
    words: int = 0


@dataclass
class StoreStats:
    """Statistics of a store."""

    splits: dict[str, Counts]
    frequencies: NDArray[np.int64]
    """Count of each token."""
    single: int = 0
    """Documents of one sentence."""
    dropped: Counter[str] = field(default_factory=Counter)
    corpus: str = ""
    """Digest of the documents in their order."""
    loss: Loss = field(default_factory=Loss)
    """Losses of the tokenizer in their texts."""
    links: dict[str, int] = field(default_factory=dict)
    """Links of each split; empty without a linker."""
    lost_links: Counter[str] = field(default_factory=Counter)
    """Mentions without a link, by reason."""

    @property
    def entropy(self) -> float:
        """Entropy of the unigram distribution in nats: the loss of a model that knows only token frequencies."""
        counts = self.frequencies[self.frequencies > 0]
        shares = counts / counts.sum()
        return float(-(shares * np.log(shares)).sum())

    def total(self) -> Counts:
        """Sizes of both splits together."""
        return Counts(
            *(sum(values) for values in zip(*(vars(c).values() for c in self.splits.values()), strict=True))
        )


def write(
    batches: Iterable[Batch], work: EncodeJob, workers: int, folder: Path, most_lost: float = 1.0
) -> StoreStats:
    """Encode documents into FOLDER/train and FOLDER/heldout.

    A document is held out by the hash of its text, so that its copies stay in one split. If this leaves a split
    empty, the last document of the other one moves there, unless nothing was to be held out; a single document is
    for training.

    most_lost: share of unknown tokens, and of lost bytes, above which the work stops.

    Raises EngineDiffers, DataError when nothing is left to write or too much is lost, OSError when the disk refuses.
    """
    tokenizer = Tokenizer(work.tokenizer)
    size = tokenizer.vocab_size
    written = StoreStats({name: Counts() for name in SPLITS}, np.zeros(size, np.int64))
    corpus = hashlib.sha256()
    with ExitStack() as stack:
        writers = {name: SplitWriter(folder / name, dtype_for(size)) for name in SPLITS}
        for writer in writers.values():
            stack.callback(_abandon, writer)
        links: dict[str, LinkWriter] = {}
        if work.linker is not None:
            for name in SPLITS:
                links[name] = LinkWriter(folder / name, work.linker.graph, tokenizer.fingerprint)
                stack.callback(_abandon, links[name])
        last: dict[str, SplitBatch] = {}
        for encoded in stack.enter_context(closing(encode(batches, work, workers))):
            for name, part in encoded.parts.items():
                if part.links is not None:
                    links[name].add(part.links, writers[name].tokens)
                writers[name].add_many(part.ids, part.lengths, part.counts)
                _count(written.splits[name], part.sizes, 1)
                written.frequencies += np.bincount(part.ids, minlength=size)
                last[name] = part if len(part.counts) else last.get(name, part)
            corpus.update(encoded.digests)
            written.single += encoded.single
            written.dropped += encoded.dropped
            written.loss += encoded.loss
            written.lost_links += encoded.lost_links
            if written.loss.bytes > ENOUGH:
                _require_spelled(written.loss, most_lost)
        _require_spelled(written.loss, most_lost)
        if not any(writer.documents for writer in writers.values()):
            raise DataError(
                "the source holds no text to encode", hint="name files that hold text: source.files=PATH"
            )
        if work.heldout:
            _balance(writers, links, written, last)
        _close(writers, links, written)
    written.corpus = corpus.hexdigest()
    return written


def _close(writers: Mapping[str, SplitWriter], links: Mapping[str, LinkWriter], written: StoreStats) -> None:
    """Flush the last bytes to disk, and record the size of each split."""
    for name, writer in writers.items():
        writer.close()
        counts = written.splits[name]
        counts.documents, counts.sentences, counts.tokens = writer.documents, writer.sentences, writer.tokens
    for name, link_writer in links.items():
        link_writer.close()
        written.links[name] = link_writer.count


def _require_spelled(loss: Loss, most: float) -> None:
    if max(loss.unknown_share, loss.lost_share) > most:
        raise DataError(
            f"the tokenizer cannot spell this text: {loss}; tokenizer.max_unknown allows {percent(most, 2)}",
            hint="use a tokenizer that was made for it, or train one: ~tokenizer.load; or allow more with "
            f"tokenizer.max_unknown={min(1.0, 1.1 * max(loss.unknown_share, loss.lost_share)):.2g}",
        )


def facts(written: StoreStats, work: EncodeJob, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """The contents of store.json."""
    return {
        "nlptool": __version__,
        "fingerprint": tokenizer.fingerprint,
        "vocab_size": tokenizer.vocab_size,
        "special": tokenizer.special,
        "dtype": dtype_for(tokenizer.vocab_size).name,
        "splits": {name: vars(counts) for name, counts in written.splits.items()},
        "unigram_entropy": written.entropy,
        "corpus": written.corpus,
        "normalise": work.normalise.model_dump(),
        "sentences": work.sentences.model_dump(),
        "files": recorded(path for path in folder.iterdir() if path.suffix in (".bin", ".idx", ".links")),
    } | (
        {}
        if work.linker is None
        else {"links": {"graph": work.linker.graph, **written.links, "lost": dict(written.lost_links)}}
    )


def _balance(
    writers: dict[str, SplitWriter],
    links: dict[str, LinkWriter],
    written: StoreStats,
    last: dict[str, SplitBatch],
) -> None:
    """Leave neither split empty if there are two documents; a single one is for training."""
    for empty, full, needed in (("train", "heldout", 1), ("heldout", "train", 2)):
        if writers[empty].documents == 0 and writers[full].documents >= needed:
            writers[empty].add(*writers[full].pop())
            if links:
                start = writers[full].tokens
                links[empty].add(links[full].pop(start), -start)
            _count(written.splits[empty], last[full].sizes[-1:], 1)
            _count(written.splits[full], last[full].sizes[-1:], -1)


def _count(counts: Counts, sizes: NDArray[np.int64], sign: int) -> None:
    size, words = sizes.sum(0)
    counts.bytes += sign * int(size)
    counts.words += sign * int(words)


def _abandon(writer: SplitWriter | LinkWriter) -> None:
    try:
        writer.abandon()
    except OSError:  # on a full disk buffers cannot be flushed, and the folder is abandoned anyway
        writer.abandon()
