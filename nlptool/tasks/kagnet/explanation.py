"""Explanations of scores: the paths of a statement by attention, in words."""

# S statements, P pairs, K paths

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlptool.data.batches import Batch
from nlptool.formatting import percent
from nlptool.knowledge.graph import Graph
from nlptool.tasks.kagnet.network import Attention
from nlptool.tasks.kagnet.schema_batches import ANSWER, PATHS, QUESTION, KagNetDataset

SHOWN = 3  # paths shown for a choice


def of_rows(
    batch: Batch, attention: Attention, graph: Graph, labels: tuple[str, ...], texts: Sequence[str]
) -> list[dict[str, Any]]:
    """For each row, by choice, `statements` and `paths` of highest attention: that of the pair times the path's.

    texts: of all statements of the batch's rows.
    """
    owners = batch["owners"].cpu().numpy()[:-1]
    weights = attention.pairs.cpu().numpy()[owners] * attention.paths.cpu().numpy()[:-1]
    statements = batch["statements"].cpu().numpy()[owners]
    entities, paths = batch["entities"].cpu().numpy(), batch["paths"].cpu().numpy()
    relations, lengths = batch["relations"].cpu().numpy(), batch["path_lengths"].cpu().numpy()
    order = np.lexsort((-weights, statements))
    bounds = np.searchsorted(statements[order], np.arange(len(batch["row"]) * len(labels) + 1))
    found = []
    for row in range(len(batch["row"])):
        by_choice = {}
        for choice, name in enumerate(labels):
            statement = row * len(labels) + choice
            best = order[bounds[statement] : bounds[statement + 1]][:SHOWN]
            by_choice[name] = [
                {
                    "path": in_words(
                        graph,
                        entities[paths[k][: lengths[k]]].tolist(),
                        relations[k][: lengths[k] - 1].tolist(),
                    ),
                    "attention": round(float(weights[k]), 6),
                }
                for k in best
            ]
        first = int(batch["row"][row]) * len(labels)
        statements_of = {name: texts[first + choice] for choice, name in enumerate(labels)}
        found.append({"statements": statements_of, "paths": by_choice})
    return found


def in_words(graph: Graph, entities: list[int], relations: list[int]) -> str:
    """A readable path: `lantern —atlocation→ house ←usedfor— light`. relations: rows of the network's table."""
    size = len(graph.relations)
    text = graph.label(entities[0])
    for entity, relation in zip(entities[1:], relations, strict=True):
        name = graph.relations[(relation - 1) % size]
        text += f" —{name}→ " if relation <= size else f" ←{name}— "
        text += graph.label(entity)
    return text


def data_warnings(rows: KagNetDataset) -> list[str]:
    """Numbers of statements without concepts in question or answer, without paths, or with unfinished paths."""
    counts, size = rows.store.counts, max(len(rows.store), 1)
    owner = np.repeat(np.arange(len(counts)), counts[:, PATHS])
    joined = np.unique(owner[rows.store.scores >= rows.min_score])
    without = {
        "no concept in the question": int((counts[:, QUESTION] == 0).sum()),
        "none in the answer": int((counts[:, ANSWER] == 0).sum()),
        "no path between the two": len(counts) - len(joined),
    }
    warnings = [f"{percent(number / size)} {what}" for what, number in without.items() if number]
    found = [f"of {len(counts):,} statements have {', '.join(warnings)}"] if warnings else []
    if pruned := len(rows.store.scores) - int((rows.store.scores >= rows.min_score).sum()):
        share = pruned / len(rows.store.scores)
        found.append(
            f"{percent(share)} of {len(rows.store.scores):,} paths score under {rows.min_score:.3g} and are pruned"
        )
    if rows.unfinished:
        found.append(
            f"{rows.unfinished:,} pairs of concepts have too many paths and were searched to fewer hops"
        )
    return found
