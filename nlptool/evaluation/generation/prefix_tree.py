"""Rows of tokens as one tree, so that a decoder reads what rows have in common once.

The examples of a few-shot task are the trunk, its questions the branches, their answers the leaves. Sorted rows
are a tree in preorder already: each adds what it does not share with the one before it. Nodes are read in this order,
so many at a time whatever they belong to; each looks at those above it. What is still above the next is remembered,
all else forgotten, so every node is read once and memory is that of one row.
"""

# N nodes, one for each token; Q questions; T nodes that are being read, S those and the ones above them
# H heads, E width of one head

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nlptool.evaluation.requests import EncodedRequest, Tokens
from nlptool.models.base import Decoder, Inputs
from nlptool.models.kernels.cross_entropy import linear_scores

# Read at once: fewer make small products, more look past each other.
NODES, ON_GPU = 256, 2048
BYTES = ">u4"  # which sort as the numbers do


class PrefixTree(NamedTuple):
    """Nodes in preorder, [N] each, and what is asked at them in the order of their nodes, [Q] each."""

    ids: Tensor
    depths: Tensor
    """The node's place in its row."""
    ends: Tensor
    """The first node after it that is not below it."""
    nodes: Tensor
    """Where a token of an answer is to be predicted."""
    labels: Tensor
    """This token."""
    rows: Tensor
    """The number of the pair whose it is."""


def build_prefix_tree(pairs: Sequence[EncodedRequest]) -> PrefixTree:
    """The tree of pairs that have a context, the same in whatever order they come. The last token is not read."""
    rows = [np.array([*pair.context, *pair.answer[:-1]], BYTES) for pair in pairs]
    ends_N = np.empty(sum(map(len, rows)), np.int64)
    ids, depths, nodes, labels, numbers = [], [], [], [], []
    above, path, count = rows[0][:0], np.empty(0, np.int64), 0
    for number in sorted(range(len(rows)), key=lambda number: rows[number].tobytes()):
        row, answer = rows[number], pairs[number].answer
        shared = _shared(above, row)
        ends_N[path[shared:]] = count
        path = np.concatenate([path[:shared], np.arange(count, count + len(row) - shared)])
        ids.append(row[shared:])
        depths.append(np.arange(shared, len(row)))
        nodes.append(path[len(row) - len(answer) :])
        labels.append(answer)
        numbers.append(np.full(len(answer), number))
        above, count = row, count + len(row) - shared
    ends_N[path] = count
    scored = [np.concatenate(each) for each in (nodes, labels, numbers)]
    # By node, then by label: whoever asks, and in whatever order.
    order_Q = np.lexsort((scored[1], scored[0]))
    columns = (
        np.concatenate(ids),
        np.concatenate(depths),
        ends_N[:count],
        *(each[order_Q] for each in scored),
    )
    return PrefixTree(*(torch.from_numpy(column.astype(np.int64)) for column in columns))


def _shared(above: np.ndarray, row: np.ndarray) -> int:
    """How many tokens two rows begin with alike."""
    length = min(len(above), len(row))
    differ = above[:length] != row[:length]
    return int(differ.argmax()) if differ.any() else length


class TreeKVCache:
    """Keys and values of the nodes above those that are being read: what a model needs in the place of a Cache.

    The tree stays in main memory, where it is decided what is forgotten; a GPU has only what its model reads.
    """

    def __init__(self, tree: PrefixTree, device: torch.device) -> None:
        self.tree, self.device, self.next = tree, device, 0
        self.columns = int(tree.depths.max()) + nodes_at_once(device)
        self.ends_S = tree.ends[:0]
        self.above = 0
        """Columns of nodes that have been read."""
        self.buffers: dict[tuple[int, int], Tensor] = {}
        """Keys (0) and values (1) of each layer, [1, columns, H, E]."""

    def extend(self, tokens: int) -> Tensor:
        """Begin to read the next nodes; their positions, [1, T]."""
        begin, stop = self.next, self.next + tokens
        self._forget(begin)
        nodes_T = torch.arange(begin, stop, device=self.device)
        self.ends_S = torch.cat([self.ends_S, self.tree.ends[begin:stop]])
        self.mask_B1TS = (nodes_T[:, None] < self.ends_S.to(self.device)).tril(self.above)[None, None]
        self.next = stop
        return self.tree.depths[None, begin:stop].to(self.device)

    def put(self, layer: int, k_BTHE: Tensor, v_BTHE: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the new nodes' keys and values of a layer; those of all in view, [1, S, H, E] each."""
        used = len(self.ends_S)
        kept = []
        for part, new_BTHE in enumerate((k_BTHE, v_BTHE)):
            if (layer, part) not in self.buffers:
                self.buffers[layer, part] = new_BTHE.new_empty(1, self.columns, *new_BTHE.shape[2:])
            buffer_BSHE = self.buffers[layer, part]
            buffer_BSHE[:, self.above : used] = new_BTHE
            kept.append(buffer_BSHE[:, :used])
        return kept[0], kept[1]

    def _forget(self, node: int) -> None:
        """All that is not above this node."""
        kept = (self.ends_S > node).nonzero()[:, 0]
        stay = int((kept == torch.arange(len(kept))).sum())  # the first ones
        moved = kept[stay:].to(self.device)
        for buffer_BSHE in self.buffers.values():
            buffer_BSHE[:, stay : len(kept)] = buffer_BSHE[:, moved]
        self.ends_S, self.above = self.ends_S[kept], len(kept)


def nodes_at_once(device: torch.device) -> int:
    """How many nodes a model reads together."""
    return NODES if device.type == "cpu" else ON_GPU


@torch.inference_mode()
def score_tokens(model: Decoder, pairs: Sequence[EncodedRequest]) -> Tokens:
    """What a decoder finds of each token of the answers.

    A function of the set of pairs and not of their order, to the last bit. Which other pairs there are moves an
    answer's log-probability by rounding alone: by 1e-5 of 188 nats at the most, at GPT-2's smallest size.
    """
    if not any(pair.answer for pair in pairs):
        return
    device, tree = model.word_embeddings.device, build_prefix_tree(pairs)
    branches, size = TreeKVCache(tree, device), nodes_at_once(device)
    for begin in range(0, len(tree.ids), size):
        hidden_TD = model(Inputs(ids=tree.ids[None, begin : begin + size].to(device)), branches)[0]
        first, last = torch.searchsorted(tree.nodes, torch.tensor([begin, begin + size])).tolist()
        scored_QD = hidden_TD[(tree.nodes[first:last] - begin).to(device)]
        labels_Q = tree.labels[first:last].to(device)
        losses_Q, first_Q = linear_scores(scored_QD, model.word_embeddings, None, labels_Q)
        yield from zip(tree.rows[first:last].tolist(), (-losses_Q).tolist(), first_Q.tolist(), strict=True)
