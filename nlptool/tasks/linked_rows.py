"""Rows of texts with linked mentions: written with their links, counted, and collated with entity embeddings."""

# B rows, L links of the row with most of them, M links of all rows, W width of an entity

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from nlptool.data import linked_texts
from nlptool.data.batches import Batch
from nlptool.data.linked_texts import Link, LinkedBatch, LinkedText, LinkedTextDataset
from nlptool.data.pair_inputs import AT_ONCE
from nlptool.data.row_view import ENTITY, Mark, RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.knowledge.entity_table import EntityTable
from nlptool.tasks.linked_inputs import LinkedInputsConfig
from nlptool.tasks.marked_text import Mention
from nlptool.text.store import Split
from nlptool.text.tabular import Example, Row
from nlptool.text.tokenizer import Tokenizer

TALLY = ("mentions", "links", "unknown", "inside", "pairs", "related")
"""Counts in PREFIX.tally: mentions; those that are linked, unknown to the graph, or begin inside a token; rows with
head and tail in the graph, and those linked by a triple."""
UNLINKED = "no mention is linked: the task names no graph and no entity_embeddings"


def write(
    texts: Iterable[LinkedText],
    tally: dict[str, int],
    tokenizer: Tokenizer,
    prefix: Path,
    knowledge: EntityTable | None,
) -> int:
    """Encode rows into a store at `prefix`, and return their number. tally: counts of TALLY."""
    graph = None if knowledge is None else knowledge.graph.fingerprint
    written = linked_texts.write(texts, tokenizer, prefix, graph)
    tally |= {"links": written.links, "inside": written.inside}
    with prefix.with_suffix(".tally").open("wb") as file:
        file.write(np.array([tally[name] for name in TALLY], "<i8").data)
    return written.rows


def open_rows(split: Split, length: int, vocabulary: Vocabulary) -> LinkedTextDataset:
    """The rows of a split."""
    special = vocabulary.special
    return LinkedTextDataset(split, length, cls=special["cls"], sep=special["sep"], pad=special["pad"])


def known(mentions: Iterable[Mention], knowledge: EntityTable, tally: dict[str, int]) -> tuple[Link, ...]:
    """The mentions of a text whose entities are in the graph."""
    found = list[Link]()
    for one in mentions:
        if one.entity is None:
            continue
        tally["mentions"] += 1
        number = knowledge.find(one.entity)
        if number is None:
            tally["unknown"] += 1
        else:
            found.append((one.begin, one.end, number))
    return tuple(found)


def texts_with_links(
    config: LinkedInputsConfig,
    rows: Iterator[tuple[Row, Example]],
    knowledge: EntityTable,
    tally: dict[str, int],
) -> Iterator[LinkedText]:
    """Rows with the links of their texts, from columns of mentions or from the graph's labels."""
    if config.links.columns:
        for row, (_, (texts,), label) in rows:
            mentions = config.mentions(row, texts)
            yield LinkedText(texts, tuple(known(found, knowledge, tally) for found in mentions), label)
        return
    linker = knowledge.label_linker(config.links.ambiguous, config.links.shortest)
    while some := list(islice(rows, AT_ONCE)):
        found = iter(linker.search([text for _, one in some for text in one.inputs[0]]))
        for _, (_, (texts,), label) in some:
            links = tuple(tuple(next(found)) for _ in texts)
            tally["mentions"] += sum(map(len, links))
            yield LinkedText(texts, links, label)


def data_warnings(rows: LinkedTextDataset) -> list[str]:
    """Notes on mentions without links, and on rows whose relation is in the graph."""
    numbers = np.fromfile(rows.split.prefix.with_suffix(".tally"), "<i8").tolist()
    tally = dict(zip(TALLY, numbers, strict=True))
    warnings = []
    if tally["links"] < tally["mentions"] or not tally["mentions"]:
        warnings.append(
            f"{tally['links']:,} of {tally['mentions']:,} mentions are linked: {tally['unknown']:,} name an entity "
            f"without a triple in the graph, {tally['inside']:,} begin inside a token"
        )
    if tally["related"]:
        warnings.append(
            f"in {tally['related']:,} of {tally['pairs']:,} rows whose head and tail the graph knows one of its "
            "triples joins the two, so their vectors tell the relation; knowledge's without takes such pairs out"
        )
    return warnings


def with_marks(views: list[RowView], batch: Batch, knowledge: EntityTable | None) -> list[RowView]:
    """Rows to display, with linked tokens marked by the labels of their entities."""
    if knowledge is not None and "entity_at" in batch:
        linked = zip(views, batch["entity_at"].tolist(), batch["entity_ids"].tolist(), strict=True)
        for view, places, entities in linked:
            named = zip(places, map(knowledge.embeddings.label, entities), strict=True)
            view.marks |= {at: Mark(ENTITY, label) for at, label in named if at >= 0}
    return views


def with_entities(batch: Batch, examples: LinkedBatch, knowledge: EntityTable) -> Batch:
    """A batch with entity_at and entity_ids [B, L] and entity_vectors [B, L, W] added."""
    vectors = knowledge.embeddings.entities
    row_M, rows = examples.row, len(examples.encoded.rows)
    slot_M = np.arange(len(row_M)) - np.searchsorted(row_M, row_M)
    shape = (rows, int(slot_M.max(initial=0)) + 1)
    at_BL = np.full(shape, -1)
    at_BL[row_M, slot_M] = examples.at
    ids_BL = np.zeros(shape, np.int64)
    ids_BL[row_M, slot_M] = examples.entity
    vectors_BLW = np.zeros((*shape, vectors.shape[1]), np.float32)
    vectors_BLW[row_M, slot_M] = vectors[examples.entity]
    entities = {"entity_at": at_BL, "entity_ids": ids_BL, "entity_vectors": vectors_BLW}
    tensors = {name: torch.from_numpy(array) for name, array in entities.items()}
    return Batch(batch.tensors | tensors, batch.counts, batch.tokens)
