"""TransE (Bordes et al. 2013): vectors for the entities and relations of a graph.

Shapes: B triples, K corrupted ones of each, D numbers in a vector.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.knowledge.graph import Graph, Triples
from nlptool.knowledge.ranking import KnownTriples, filtered_ranks, rank_figures, rank_sums, tail_shares
from nlptool.objectives.base import Objective

if TYPE_CHECKING:
    from nlptool.objectives.transe.config import Config

CORRUPT = 40  # stream of the random numbers that choose corrupted triples


class TripleExamples:
    """Triples by number: an example is [3], head, relation and tail."""

    def __init__(self, triples: Triples) -> None:
        self._columns = triples

    def __len__(self) -> int:
        return len(self._columns)

    def take(
        self,
        indices: NDArray[np.int64],
        epochs: NDArray[np.int64] | None = None,
        draws: RandomStreams | None = None,
    ) -> NDArray[np.int64]:
        """Triples [N, 3], the same in every epoch."""
        return np.stack([column[indices] for column in self._columns], 1).astype(np.int64)


class Tables(nn.Module):
    """The vectors: two tables, which are all that is learnt."""

    def __init__(self, entities: int, relations: int, config: "Config") -> None:
        super().__init__()
        self.normalize = config.normalize
        self.entity = nn.Parameter(torch.empty(entities, config.embedding_size))
        self.relation = nn.Parameter(torch.empty(relations, config.embedding_size))
        bound = 6 / config.embedding_size**0.5  # Bordes et al. 2013, algorithm 1
        with torch.no_grad():
            self.entity.uniform_(-bound, bound)
            self.relation.uniform_(-bound, bound)
            self.relation.copy_(F.normalize(self.relation, dim=-1))
            if config.normalize != "none":
                self.entity.copy_(F.normalize(self.entity, dim=-1))

    def entities(self, numbers: Tensor | None = None) -> Tensor:
        """Vectors of entities as they are compared: [..., D]; of all where no numbers are given."""
        rows = self.entity if numbers is None else _rows(self.entity, numbers)
        return rows if self.normalize == "none" else F.normalize(rows, dim=-1)

    def relations(self, numbers: Tensor | None = None) -> Tensor:
        """Vectors of relations as they are compared: [..., D]."""
        rows = self.relation if numbers is None else _rows(self.relation, numbers)
        return F.normalize(rows, dim=-1) if self.normalize == "all" else rows


def _rows(table: Tensor, numbers: Tensor) -> Tensor:
    """Rows of a table: [N, D]. On a CPU the gradient of a selection takes half the time of an embedding's."""
    return table.index_select(0, numbers) if table.device.type == "cpu" else F.embedding(numbers, table)


class _Distances(torch.autograd.Function):
    """Distances of triples, [B], and of corrupted ones, [B, K]; one pass each way, without the steps between."""

    @staticmethod
    def forward(
        ctx: Any, h_BD: Tensor, r_BD: Tensor, t_BD: Tensor, e_BKD: Tensor, tail_BK: Tensor, norm: int
    ) -> tuple[Tensor, Tensor]:
        # A tail e is as far from h + r as a head e is from t - r.
        sides = torch.where(tail_BK[:, :, None], (h_BD + r_BD)[:, None], (t_BD - r_BD)[:, None])
        far_BKD = sides.sub_(e_BKD)
        near_BD = h_BD + r_BD - t_BD
        near, far = (_length(one, norm) for one in (near_BD, far_BKD))
        ctx.save_for_backward(near_BD, far_BKD, near, far, tail_BK)
        ctx.norm = norm
        return near, far

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        near_BD, far_BKD, near, far, tail_BK = ctx.saved_tensors
        g_near, g_far = gradients
        if ctx.norm == 1:
            near_BD = near_BD.sign() * g_near[:, None]
            far_BKD = far_BKD.sign() * g_far[:, :, None]
        else:
            near_BD = near_BD * (g_near / near.clamp(min=1e-12))[:, None]
            far_BKD = far_BKD * (g_far / far.clamp(min=1e-12))[:, :, None]
        tails_BD = (far_BKD * tail_BK[:, :, None]).sum(1)
        heads_BD = far_BKD.sum(1) - tails_BD
        return near_BD + tails_BD, near_BD + tails_BD - heads_BD, heads_BD - near_BD, -far_BKD, None, None


def _length(vectors: Tensor, norm: int) -> Tensor:
    return vectors.abs().sum(-1) if norm == 1 else vectors.square().sum(-1).sqrt()


class TransE(Objective):
    """The vectors of a graph and what they cost: triples are to be nearer than corrupted ones.

    It reads triples, not tokens: examples are `TripleExamples`, and a token of `Batch.tokens` is a triple.
    """

    architecture = "TransE"

    def __init__(self, config: "Config", graph: Graph) -> None:
        super().__init__()
        self.config, self.graph = config, graph
        self.weights = {"transe": 1.0}
        self.tables = Tables(len(graph.entities), len(graph.relations), config)
        self._known: KnownTriples | None = None
        uniform = config.negative_sampling == "uniform"
        shares = None if uniform else tail_shares(graph.triples(), len(graph.relations))
        self._tail_shares = np.full(len(graph.relations), 0.5) if shares is None else shares

    @property
    def known(self) -> KnownTriples:
        """Triples of all splits, which ranks leave out; made when it is first asked for."""
        if self._known is None:
            self._known = KnownTriples(self.graph)
        return self._known

    def collate(self, examples: NDArray[np.int64], draws: RandomStreams) -> Batch:
        """ids [B, 3], head, relation, tail; negatives and tail [B, N]: an entity, and whether it replaces the tail."""
        rows, number = len(examples), self.config.num_negatives
        drawn = draws.uniform(CORRUPT, rows, 2 * number)
        entities = (drawn[:, :number] * len(self.graph.entities)).astype(np.int64)
        tail = drawn[:, number:] < self._tail_shares[examples[:, 1]][:, None]
        tensors = {
            "ids": torch.from_numpy(examples),
            "negatives": torch.from_numpy(entities),
            "tail": torch.from_numpy(tail),
        }
        count = rows * number if self.config.loss == "margin" else rows
        return Batch(tensors, {"transe": count}, tokens=rows)

    def distances(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Distances of the triples, [B], and of the corrupted ones, [B, K]."""
        ids, negatives = batch["ids"], batch["negatives"]
        rows, number = negatives.shape
        flops.product(rows * (1 + number), self.config.embedding_size, 1)
        numbers = torch.cat([ids[:, 0], ids[:, 2], negatives.flatten()])
        with torch.autocast(ids.device.type, enabled=False):
            h, t, e = torch.split(self.tables.entities(numbers), [rows, rows, rows * number])
            r, e = self.tables.relations(ids[:, 1]), e.view(rows, number, -1)
            near, far = _Distances.apply(h, r, t, e, batch["tail"], self.config.norm)  # type: ignore[no-untyped-call]
        return near, far

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, summed over corrupted triples (margin) or over triples (self_adversarial)."""
        near, far = self.distances(batch)
        margin = self.config.margin
        if self.config.loss == "margin":
            return {"transe": F.relu(margin + near[:, None] - far).sum()}
        share = (-self.config.adversarial_temperature * far.detach()).softmax(-1)
        negative = (share * F.logsigmoid(far - margin)).sum(-1)
        return {"transe": -(F.logsigmoid(margin - near) + negative).sum()}

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The loss, and sums of ranks of heads and tails among all entities."""
        return self.forward(batch) | rank_sums(self.ranks(batch["ids"]))

    def ranks(self, triples: Tensor) -> Tensor:
        """Filtered ranks of tails and heads, float64 [2, B]. triples: [B, 3]."""
        return ranks(self.tables.entities(), self.tables.relations(), self.config.norm, triples, self.known)

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """The loss, filtered MRR, mean rank and Hits@1, 3 and 10."""
        return super().summary(totals, counts) | rank_figures(totals)

    def loss(self, figures: dict[str, float]) -> float:
        """What the best checkpoint has least of: 1 - MRR."""
        return 1 - figures["mrr"]

    def exported(self) -> dict[str, Tensor]:
        """The vectors as they are compared, under the names that `EntityEmbeddings` reads."""
        with torch.no_grad():
            return {"entity.weight": self.tables.entities(), "relation.weight": self.tables.relations()}


def ranks(entities: Tensor, relations: Tensor, norm: int, triples: Tensor, known: KnownTriples) -> Tensor:
    """Filtered ranks of tails and heads by the distance of translated vectors, float64 [2, B]. triples: [B, 3]."""

    def of_tails(heads: Tensor, kinds: Tensor) -> Tensor:
        return _to_all(entities[heads] + relations[kinds], entities, norm)

    def of_heads(tails: Tensor, kinds: Tensor) -> Tensor:
        return _to_all(entities[tails] - relations[kinds], entities, norm)

    return filtered_ranks(triples, known, of_tails, of_heads, len(entities))


def _to_all(points: Tensor, entities: Tensor, norm: int) -> Tensor:
    # By products an L2 distance is faster and inexact: equal ones would differ, and ties be told apart.
    return torch.cdist(points, entities, float(norm), compute_mode="donot_use_mm_for_euclid_dist")
