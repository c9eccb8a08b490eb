"""TransE (Bordes et al. 2013): embeddings of the entities and relations of a graph.

Shapes: B triples, K corrupted ones of each, C = B K, P = 2 B ends that they are compared with, M entities of a
batch, N of the graph, R relations, D width of the embeddings.
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

TINY = 1e-12  # shorter vectors are divided by this length, as in torch.nn.functional.normalize
CORRUPT = 40  # stream of the random numbers that choose corrupted triples


class TripleExamples:
    """Triples by number: an example is [3], head, relation and tail."""

    def __init__(self, triples: Triples) -> None:
        self._columns = triples
        self.lengths = np.ones(len(triples), np.int64)
        """[triples]; each counts as one token."""

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
    """The two embedding tables, which are all the parameters."""

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

    def entities(self) -> Tensor:
        """Embeddings of all entities, normalised if configured, [N, D]."""
        return self.entity if self.normalize == "none" else F.normalize(self.entity, dim=-1)

    def relations(self) -> Tensor:
        """Embeddings of all relations, normalised if configured, [R, D]."""
        return F.normalize(self.relation, dim=-1) if self.normalize == "all" else self.relation


class _Distances(torch.autograd.Function):
    """Distances of triples, [B], and of corrupted ones, [B, K], in one pass each way, without intermediate tensors.

    entities [N, D], relations [R, D]; ids [B, 3]: head, relation, tail; negatives and tail [B, K]: an entity, and
    whether it replaces the tail. unit: entities are normalised to length 1.
    """

    @staticmethod
    def forward(
        ctx: Any,
        entities_ND: Tensor,
        relations_RD: Tensor,
        ids_B3: Tensor,
        negatives_BK: Tensor,
        tail_BK: Tensor,
        norm: int,
        unit: bool,
    ) -> tuple[Tensor, Tensor]:
        rows, number = negatives_BK.shape
        numbers_M = torch.cat([ids_B3[:, 0], ids_B3[:, 2], negatives_BK.flatten()])
        units_MD, lengths_M1 = entities_ND.index_select(0, numbers_M), None
        if unit:
            lengths_M1 = torch.linalg.vector_norm(units_MD, dim=1, keepdim=True).clamp_(min=TINY)
            units_MD.div_(lengths_M1)
        h_BD, t_BD = units_MD[:rows], units_MD[rows : 2 * rows]
        r_BD = relations_RD.index_select(0, ids_B3[:, 1])
        # A tail e is as far from h + r as a head e is from t - r.
        sides_PD = torch.cat([h_BD + r_BD, t_BD - r_BD])
        side_C = (torch.arange(rows, device=tail_BK.device)[:, None] + rows * ~tail_BK).flatten()
        near_BD = sides_PD[:rows] - t_BD
        far_CD = sides_PD.index_select(0, side_C).sub_(units_MD[2 * rows :])
        near_B, far_C = _length(near_BD, norm), _length(far_CD, norm)
        ctx.save_for_backward(
            near_BD, far_CD, near_B, far_C, side_C, numbers_M, ids_B3, lengths_M1, units_MD if unit else None
        )
        ctx.norm, ctx.sizes = norm, (len(entities_ND), len(relations_RD))
        return near_B, far_C.view(rows, number)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        near_BD, far_CD, near_B, far_C, side_C, numbers_M, ids_B3, lengths_M1, units_MD = ctx.saved_tensors
        g_near_B, g_far_C = gradients[0], gradients[1].flatten()
        rows = len(near_BD)
        near_BD = _length_gradient(near_BD, near_B, g_near_B, ctx.norm)
        far_CD = _length_gradient(far_CD, far_C, g_far_C, ctx.norm)
        sides_PD = near_BD.new_zeros(2 * rows, near_BD.shape[1]).index_add_(0, side_C, far_CD)
        sides_PD[:rows] += near_BD
        heads_BD, tails_BD = sides_PD[:rows], sides_PD[rows:]
        relations_RD = near_BD.new_zeros(ctx.sizes[1], near_BD.shape[1])
        relations_RD.index_add_(0, ids_B3[:, 1], heads_BD - tails_BD)
        entities_ND = near_BD.new_zeros(ctx.sizes[0], near_BD.shape[1])
        if lengths_M1 is None:
            entities_ND.index_add_(0, numbers_M[2 * rows :], far_CD).neg_()
            entities_ND.index_add_(0, numbers_M[:rows], heads_BD)
            entities_ND.index_add_(0, numbers_M[rows : 2 * rows], tails_BD - near_BD)
        else:  # the component of a gradient along the vector does not change its direction
            g_MD = torch.cat([heads_BD, tails_BD - near_BD, far_CD.neg_()])
            g_MD.addcmul_(units_MD, (g_MD * units_MD).sum(1, keepdim=True), value=-1).div_(lengths_M1)
            entities_ND.index_add_(0, numbers_M, g_MD)
        return entities_ND, relations_RD, None, None, None, None, None


def _length(vectors: Tensor, norm: int) -> Tensor:
    # torch.linalg.vector_norm takes nine times as long for L1 on a CPU
    return vectors.abs().sum(-1) if norm == 1 else torch.linalg.vector_norm(vectors, dim=-1)


def _length_gradient(vectors: Tensor, lengths: Tensor, gradient: Tensor, norm: int) -> Tensor:
    """The gradient of vectors [C, D] from that of their lengths [C]."""
    if norm == 1:
        return vectors.sign().mul_(gradient[:, None])
    return vectors * (gradient / lengths.clamp(min=TINY))[:, None]


class TransE(Objective):
    """The embeddings of a graph and their loss.

    Its input is triples: examples are `TripleExamples`, and a token of `Batch.tokens` is a triple.
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
        """Known triples of all splits, which ranks leave out; built on first use."""
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
        ids, negatives, tables = batch["ids"], batch["negatives"], self.tables
        rows, number = negatives.shape
        flops.product(rows * (1 + number), self.config.embedding_size, 1)
        # A small graph has fewer embeddings than a batch has rows: each is scaled once.
        unit = tables.normalize != "none" and len(tables.entity) > rows * (2 + number)
        with torch.autocast(ids.device.type, enabled=False):
            entities = tables.entity if unit else tables.entities()
            near, far = _Distances.apply(  # type: ignore[no-untyped-call]
                entities, tables.relations(), ids, negatives, batch["tail"], self.config.norm, unit
            )
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
        """The loss, and sums of the ranks of heads and tails among all entities."""
        return self.forward(batch) | rank_sums(self.ranks(batch["ids"]))

    def ranks(self, triples: Tensor) -> Tensor:
        """Filtered ranks of tails and heads, float64 [2, B]. triples: [B, 3]."""
        return ranks(self.tables.entities(), self.tables.relations(), self.config.norm, triples, self.known)

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """The loss, filtered MRR, mean rank and Hits@1, 3 and 10."""
        return super().summary(totals, counts) | rank_figures(totals)

    def loss(self, figures: dict[str, float]) -> float:
        """Score that selects the best checkpoint (lower is better): 1 - MRR."""
        return 1 - figures["mrr"]

    def exported(self) -> dict[str, Tensor]:
        """The embeddings, normalised if configured, under the names that `EntityEmbeddings` reads."""
        with torch.no_grad():
            return {"entity.weight": self.tables.entities(), "relation.weight": self.tables.relations()}


def ranks(entities: Tensor, relations: Tensor, norm: int, triples: Tensor, known: KnownTriples) -> Tensor:
    """Filtered ranks of tails and heads by the distance of translated embeddings, float64 [2, B]. triples: [B, 3]."""

    def of_tails(heads: Tensor, kinds: Tensor) -> Tensor:
        return _to_all(entities[heads] + relations[kinds], entities, norm)

    def of_heads(tails: Tensor, kinds: Tensor) -> Tensor:
        return _to_all(entities[tails] - relations[kinds], entities, norm)

    return filtered_ranks(triples, known, of_tails, of_heads, len(entities))


def _to_all(points: Tensor, entities: Tensor, norm: int) -> Tensor:
    # Computed by matrix products, L2 distances would be faster but inexact: equal distances would differ.
    return torch.cdist(points, entities, float(norm), compute_mode="donot_use_mm_for_euclid_dist")
