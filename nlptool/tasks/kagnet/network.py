"""KagNet's network: scores a statement by the schema graph that joins its question's concepts to its answer's.

Lin et al. 2019, section 4. A GCN encodes the schema graph, an LSTM each path through it, and hierarchical attention
weighs the paths of a pair of concepts and the pairs of a statement. Sizes, activations and order of concatenation
are those of the released code (INK-USC/KagNet models.py); its weights give its scores.
"""

# S statements, P pairs of concepts, K paths, T concepts of a path, V nodes, E width of a concept, G of a GCN's output,
# D of a statement, H of a pair, L of a path

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import flops
from nlptool.models.layers import Dropout, Linear

HIDDEN = 256
"""Width of the first layer over a pair of concepts and its statement."""


class SchemaGraphs(NamedTuple):
    """The schema graphs of S statements, concatenated: node numbers count through all of them.

    Node V is the padding of paths, node V + 1 the concept of a statement without any: zeros.
    """

    edges: Tensor
    """[2, M], from node, to node; both directions of each edge."""
    pairs: Tensor
    """[P, 2], the nodes of a question concept and an answer concept; a statement has at least one pair."""
    statements: Tensor
    """[P], index of the pair's statement."""
    paths: Tensor
    """[K, T], nodes."""
    relations: Tensor
    """[K, T], the relation after each node, 0 at the end: rows of the relation table."""
    path_lengths: Tensor
    """[K], concepts of a path."""
    owners: Tensor
    """[K], index of the path's pair; P for the dummy path of a batch without paths."""


class Attention(NamedTuple):
    """Attention weights of a score."""

    pairs: Tensor
    """[P], sums to 1 over the pairs of a statement."""
    paths: Tensor
    """[K], sums to 1 over the paths of a pair."""


class KagNet(nn.Module):
    """GCN, LSTM and hierarchical attention over paths (Lin et al. 2019, sections 4.2 to 4.4).

    gcn: widths of its layers; none: concepts enter unchanged. path_attention, pair_attention: without one, paths or
    pairs have equal weights, as in equations 3 and 4 of the paper, before attention is introduced.
    """

    def __init__(
        self,
        relations: int,
        concept_size: int,
        statement_size: int,
        *,
        gcn: tuple[int, ...],
        path_size: int,
        pair_size: int,
        dropout: float,
        path_attention: bool,
        pair_attention: bool,
        hidden: int = HIDDEN,
    ) -> None:
        """relations: rows of their table, both directions and the end of a path."""
        super().__init__()
        self.statement_size = statement_size
        widths = (concept_size, *gcn)
        self.gcn = nn.ModuleList(Linear(i, o) for i, o in pairwise(widths))
        node = concept_size + (gcn[-1] if gcn else 0)
        self.relations = nn.Embedding(relations, concept_size)
        self.lstm = nn.LSTM(node + concept_size, path_size, batch_first=True)
        self.pair_in = Linear(2 * node + statement_size, hidden)
        self.pair_out = Linear(hidden, pair_size)
        self.dropout = Dropout(dropout)
        self.path_query = Linear(pair_size, path_size) if path_attention else None
        self.pair_query = Linear(statement_size, pair_size) if pair_attention else None
        self.out = Linear(pair_size + path_size + statement_size, 1)

    def forward(self, concepts_VE: Tensor, graphs: SchemaGraphs, statements_SD: Tensor) -> Tensor:
        """Scores [S]. concepts_VE: embeddings of all nodes, that of the padding last."""
        return self.explained(concepts_VE, graphs, statements_SD)[0]

    def explained(
        self, concepts_VE: Tensor, graphs: SchemaGraphs, statements_SD: Tensor
    ) -> tuple[Tensor, Attention]:
        """Scores [S], and their attention weights."""
        nodes_VX = self._nodes(concepts_VE, graphs.edges)
        pairs_P2X = nodes_VX[graphs.pairs].flatten(1)
        texts_PD = statements_SD[graphs.statements]
        first = F.leaky_relu(self.dropout(self.pair_in(torch.cat([pairs_P2X, texts_PD], 1))))
        pairs_PH = F.leaky_relu(self.dropout(self.pair_out(first)))

        paths_KL, owners = self._paths(nodes_VX, graphs), graphs.owners
        count = len(pairs_PH)
        if self.path_query is None:
            logits_K = paths_KL.new_zeros(len(paths_KL))
        else:
            queries_PL = F.pad(self.path_query(pairs_PH), (0, 0, 0, 1))
            logits_K = (paths_KL * queries_PL[owners]).sum(1)
        alpha_K = softmax_by_group(logits_K, owners, count + 1)
        brought = paths_KL.new_zeros(count + 1, paths_KL.shape[1])
        brought_PL = brought.index_add(0, owners, alpha_K[:, None] * paths_KL)[:count]

        size = len(statements_SD)
        if self.pair_query is None:
            logits_P = pairs_PH.new_zeros(count)
        else:
            logits_P = (pairs_PH * self.pair_query(statements_SD)[graphs.statements]).sum(1)
        beta_P = softmax_by_group(logits_P, graphs.statements, size)
        both_PW = torch.cat([pairs_PH, brought_PL], 1)
        graph_SW = both_PW.new_zeros(size, both_PW.shape[1]).index_add(
            0, graphs.statements, beta_P[:, None] * both_PW
        )
        scores_S = self.out(torch.cat([graph_SW, statements_SD], 1)).squeeze(1)
        return scores_S, Attention(beta_P, alpha_K)

    def _nodes(self, concepts_VE: Tensor, edges: Tensor) -> Tensor:
        """For each node its embedding and the GCN's output, [V + 2, E + G].

        h' = ReLU(W sum of the neighbours' h + b): the released code has neither a term for the node itself nor a
        norm. The padding node belongs to no graph.
        """
        hidden = concepts_VE[:-1]
        source, target = edges
        for layer in self.gcn:
            gathered = torch.zeros_like(hidden).index_add(0, target, hidden[source])
            hidden = torch.relu(layer(gathered))
        parts = [concepts_VE] if not self.gcn else [concepts_VE, F.pad(hidden, (0, 0, 0, 1))]
        return F.pad(torch.cat(parts, 1), (0, 0, 0, 1))

    def _paths(self, nodes_VX: Tensor, graphs: SchemaGraphs) -> Tensor:
        """The LSTM's output at the last concept of each path, [K, L]."""
        steps_KTX = torch.cat([nodes_VX[graphs.paths], self.relations(graphs.relations)], 2)
        weights = self.lstm.hidden_size * 4
        flops.product(steps_KTX.shape[0] * steps_KTX.shape[1], steps_KTX.shape[2], weights)
        flops.product(steps_KTX.shape[0] * steps_KTX.shape[1], self.lstm.hidden_size, weights)
        outputs_KTL = self.lstm(steps_KTX)[0]
        last = (graphs.path_lengths - 1)[:, None, None].expand(-1, 1, outputs_KTL.shape[2])
        return outputs_KTL.gather(1, last).squeeze(1)  # type: ignore[no-any-return]


def softmax_by_group(logits_N: Tensor, group_N: Tensor, groups: int) -> Tensor:
    """A softmax within each group, [N]. group_N: the group of each member, 0 to groups - 1."""
    wide_N = logits_N.to(torch.promote_types(logits_N.dtype, torch.float32))
    most = wide_N.detach().new_full((groups,), -torch.inf)
    most = most.scatter_reduce(0, group_N, wide_N.detach(), "amax")
    shares_N = (wide_N - most[group_N]).exp()
    total = shares_N.new_zeros(groups).index_add(0, group_N, shares_N)
    return (shares_N / total[group_N]).to(logits_N.dtype)
