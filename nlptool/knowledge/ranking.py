"""Filtered ranks of triples (link prediction): how many other entities a model scores above the right one.

Bordes et al. 2013, section 4.2: each triple is ranked twice, by its tail and by its head; entities that form another
known triple are left out ("filtered"). A tie counts half, so that a model with equal scores has the mean rank of
chance ("realistic" ranks, PyKEEN's default: Berrendorf et al. 2020).
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlptool.knowledge.graph import SPLITS, Graph, Triples

AT_ONCE = 1 << 25  # scores held at once
HITS = (1, 3, 10)

Score = Callable[[Tensor, Tensor], Tensor]
"""Known end [B] and relation [B] -> distances [B, entities] of all entities as the other end; smaller is nearer."""


class KnownTriples:
    """Which entities form a known triple with an end and a relation, over all splits of a graph."""

    def __init__(self, graph: Graph) -> None:
        parts = [graph.triples(split) for split in SPLITS]
        heads, relations, tails = (np.concatenate([part[column] for part in parts]) for column in range(3))
        self._kinds = np.int64(max(len(graph.relations), 1))
        self._tails = _grouped(heads * self._kinds + relations, tails)
        self._heads = _grouped(tails * self._kinds + relations, heads)

    def tails(self, heads: NDArray[np.int64], relations: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Known tails of N heads and relations: index into the N [M], and the tail [M]."""
        return _found(*self._tails, heads * self._kinds + relations)

    def heads(self, tails: NDArray[np.int64], relations: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Known heads of N tails and relations: index into the N [M], and the head [M]."""
        return _found(*self._heads, tails * self._kinds + relations)


def _grouped(
    keys: NDArray[np.int64], values: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order]


def _found(
    keys: NDArray[np.int64], values: NDArray[np.int32], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, last = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, "right")
    sizes = last - first
    rows = np.repeat(np.arange(len(wanted)), sizes)
    places = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(first, sizes)
    return rows, values[places].astype(np.int64)


@torch.no_grad()
def filtered_ranks(
    triples: Tensor, known: KnownTriples, of_tails: Score, of_heads: Score, entities: int
) -> Tensor:
    """Ranks of tails and of heads, float64 [2, B]. triples: [B, 3] head, relation, tail.

    A non-finite score ranks the right entity last.
    """
    step = max(AT_ONCE // max(entities, 1), 1)
    parts = [
        torch.stack(
            [
                _ranks(of_tails, part[:, 0], part[:, 1], part[:, 2], known.tails),
                _ranks(of_heads, part[:, 2], part[:, 1], part[:, 0], known.heads),
            ]
        )
        for part in torch.split(triples, step)
    ]
    return torch.cat(parts, 1)


def _ranks(
    score: Score,
    given: Tensor,
    relations: Tensor,
    wanted: Tensor,
    known: Callable[[NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.int64], ...]],
) -> Tensor:
    distances = score(given, relations)
    true = distances.gather(1, wanted[:, None])
    rows, others = known(given.cpu().numpy().astype(np.int64), relations.cpu().numpy().astype(np.int64))
    places = torch.from_numpy(rows).to(given.device), torch.from_numpy(others).to(given.device)
    distances[places] = torch.inf
    distances.scatter_(1, wanted[:, None], torch.inf)
    better = (distances < true).sum(1)
    equal = ((distances == true) & true.isfinite()).sum(1)
    ranks = 1 + better.double() + equal.double() / 2
    candidates = distances.isfinite().sum(1) + 1.0
    return torch.where(true[:, 0].isfinite(), ranks, candidates)


def rank_sums(ranks: Tensor) -> dict[str, Tensor]:
    """Sums behind the figures, which add up over batches and ranks of processes."""
    hits = {f"hits_at_{k}": (ranks <= k).sum().double() for k in HITS}
    count = torch.tensor(float(ranks.numel()), dtype=torch.float64, device=ranks.device)
    return {"mrr": (1 / ranks).sum(), "mean_rank": ranks.sum(), **hits, "ranked": count}


def rank_figures(sums: dict[str, Tensor]) -> dict[str, float]:
    """Filtered MRR, mean rank and Hits@k over heads and tails, from the sums of all batches."""
    count = max(sums["ranked"].item(), 1.0)
    return {name: sums[name].item() / count for name in ("mrr", "mean_rank", *(f"hits_at_{k}" for k in HITS))}


def tail_shares(triples: Triples, relations: int) -> NDArray[np.float64]:
    """How often the tail is replaced in negative samples of each relation, [relations].

    Heads per tail / (heads per tail + tails per head), so that a corrupted triple is seldom another true one (Wang et
    al. 2014, section 4.1). 1/2 where the relation has no triple.
    """
    heads, kinds, tails = triples
    sizes = np.bincount(kinds, minlength=relations)
    of = [
        np.bincount(np.unique(np.stack([kinds, ends]), axis=1)[0], minlength=relations)
        for ends in (heads, tails)
    ]
    tails_per_head, heads_per_tail = (sizes / np.maximum(one, 1) for one in of)
    total = tails_per_head + heads_per_tail
    return np.where(total > 0, heads_per_tail / np.where(total > 0, total, 1), 0.5)
