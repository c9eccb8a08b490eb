"""Texts of a labelled task with linked entities: encoded once into a store, read back with their links.

A row is a document of a text or a pair, as in pair_inputs. Beside the store lie

PREFIX.labels   float64, as many numbers a row as the kind of task has
PREFIX.needed   int32 [rows], tokens up to the end of a row's last mark
PREFIX.links    the entity linked to a mention's first token, as in text/links; only with a graph
"""

# N rows, P texts of a row, T tokens, M links of some rows

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nlptool.data.pair_inputs import AT_ONCE, EncodedBatch, Ints, TextPairDataset, Truncation, special_ids
from nlptool.text.links import MOST_TOKENS, LinkFile, Links, LinkWriter
from nlptool.text.row_template import RowTemplate
from nlptool.text.store import Split, SplitWriter, dtype_for
from nlptool.text.token_places import EncodedTexts
from nlptool.text.tokenizer import Tokenizer

Link = tuple[int, int, int]
"""First character of a mention, the one after its last, and the number of the entity in the graph."""


class LinkedText(NamedTuple):
    """A row: its texts, the part that must be read, and the entities mentioned."""

    texts: tuple[str, ...]
    """One or two."""
    links: tuple[tuple[Link, ...], ...]
    """Those of each text."""
    label: tuple[float, ...]
    """As numbers; NaN: unknown."""
    needed: int = 0
    """Characters of the first text that must be read, up to the last mark; 0: there is none."""


class Written(NamedTuple):
    """The result of `write`."""

    rows: int
    links: int
    inside: int
    """Mentions that begin inside a token and therefore have no link."""


def write(examples: Iterable[LinkedText], tokenizer: Tokenizer, prefix: Path, graph: str | None) -> Written:
    """Encode rows into a store at `prefix`, in bounded memory.

    graph: the fingerprint of the graph; None: rows have no links. If two mentions begin at one token, the last one
    counts, as in the released code of ERNIE. Raises DataError for a tokenizer without [SEP].
    """
    separator, source = special_ids(tokenizer)["sep"], iter(examples)
    writer = SplitWriter(prefix, dtype_for(tokenizer.vocab_size))
    links = None if graph is None else LinkWriter(prefix, graph, tokenizer.fingerprint)
    rows = start = linked = inside = 0
    try:
        with (
            prefix.with_suffix(".labels").open("wb") as labels,
            prefix.with_suffix(".needed").open("wb") as needed,
        ):
            while some := list(islice(source, AT_ONCE)):
                encoded = tokenizer.encode_texts([text for one in some for text in one.texts])
                counts = np.array([len(one.texts) for one in some], np.int64)
                ids = np.insert(encoded.ids, np.cumsum(encoded.sizes), separator)
                writer.add_many(ids, (encoded.sizes + 1).astype(np.int32), counts)
                labels.write(np.array([one.label for one in some], "<f8").data)
                needed.write(_needed([one.needed for one in some], counts, encoded).astype("<i4").data)
                found, lost = _links([of for one in some for of in one.links], encoded)
                inside += lost
                linked += len(found.positions)
                if links is not None:
                    links.add(found, start)
                start += len(ids)
                rows += len(some)
        writer.close()
        if links is not None:
            links.close()
    finally:
        writer.abandon()
        if links is not None:
            links.abandon()
    return Written(rows, linked, inside)


def _needed(characters: Sequence[int], counts: Ints, encoded: EncodedTexts) -> Ints:
    """Tokens of each row's first text that begin within so many characters of it. counts: texts of each row."""
    firsts: Ints = np.cumsum(counts) - counts
    until = encoded.bases[:-1].copy()
    until[firsts] += np.array(characters, np.int64)
    owner_T = np.repeat(np.arange(len(until)), encoded.sizes)
    begun: Ints = np.bincount(owner_T[encoded.starts < until[owner_T]], minlength=len(until))
    return begun[firsts]


def _links(mentions: Sequence[Sequence[Link]], encoded: EncodedTexts) -> tuple[Links, int]:
    """The links of some texts by token, with [SEP] after each text, and how many mentions begin inside a token."""
    counts = [len(of) for of in mentions]
    flat = chain.from_iterable(chain.from_iterable(mentions))
    flat_M3 = np.fromiter(flat, np.int64).reshape(-1, 3)
    text_M = np.repeat(np.arange(len(mentions)), counts)
    begin_M, end_M = (flat_M3[:, column] + encoded.bases[text_M] for column in (0, 1))
    filled = np.flatnonzero(encoded.starts < encoded.ends)
    starts = encoded.starts[filled]
    characters = int(encoded.bases[-1]) + 1
    first = np.full(characters, -1)  # the first of the tokens that begin with a character
    first[starts[::-1]] = filled[::-1]
    before = np.concatenate([[0], np.cumsum(np.bincount(starts, minlength=characters))])
    token_M = first[begin_M]
    kept = np.flatnonzero(token_M >= 0)[::-1]
    _, chosen = np.unique(token_M[kept], return_index=True)  # the last of several
    kept = kept[chosen]
    size_M = np.minimum(before[end_M] - before[begin_M], MOST_TOKENS)
    links = Links(
        token_M[kept] + text_M[kept], size_M[kept].astype(np.uint16), flat_M3[kept, 2].astype(np.int32)
    )
    return links, int((token_M < 0).sum())


class LinkedBatch(NamedTuple):
    """Some rows, and where their tokens are linked to entities."""

    encoded: EncodedBatch
    row: Ints
    """[M], the row of each link, among these; rising."""
    at: Ints
    """[M], its position in the row; rising within a row."""
    entity: Ints
    """[M], the entity's number in the graph."""


class LinkedTextDataset:
    """A split of such rows, by random access, cut to at most `length` tokens."""

    def __init__(self, split: Split, length: int, *, cls: int, sep: int, pad: int) -> None:
        self.split = split
        self.texts = TextPairDataset(split, length, template=RowTemplate.of(cls, sep, sep), pad=pad)
        self.labels, self.lengths = self.texts.labels, self.texts.lengths
        self.count, self.labelled = self.texts.count, self.texts.labelled
        needed = np.fromfile(split.prefix.with_suffix(".needed"), "<i4")
        lost = int((needed > self.lengths - 2).sum())
        marks = Truncation("text up to its last mark", "train.sequence_length", length, lost, "loses a mark")
        self.cuts: tuple[Truncation, ...] = (*self.texts.cuts, *((marks,) if needed.any() else ()))
        has_links = split.prefix.with_suffix(".links").exists()
        self.links = LinkFile(split.prefix) if has_links else None
        """None: the rows were encoded without a graph."""

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: Ints) -> LinkedBatch:
        """Rows `indices` [N]."""
        encoded = self.texts.take(indices)
        if self.links is None:
            return LinkedBatch(encoded, *(np.empty(0, np.int64),) * 3)
        begins_NP, sizes_NP = self.texts.begins[indices], self.texts.sizes[indices]
        behind_NP = np.cumsum(sizes_NP + 1, 1)
        moved = (behind_NP - sizes_NP - begins_NP).ravel()  # from the split's tokens to the row's; [CLS] is 0
        begins = begins_NP.ravel()
        first, last = self.links.ranges(begins, begins + sizes_NP.ravel())
        text = np.repeat(np.arange(len(begins)), last - first)
        which = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        positions, _, entities = self.links.all
        at = np.asarray(positions[which], np.int64) + moved[text]
        return LinkedBatch(encoded, text // begins_NP.shape[1], at, np.asarray(entities[which], np.int64))
