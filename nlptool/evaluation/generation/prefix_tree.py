"""A prefix tree of token rows, with which a decoder reads shared prefixes once.

The few-shot examples of a task are shared by its questions, and a question by its answers. Sorted rows are already a
tree in preorder: each adds what it does not share with the row before. Nodes are read in this order, a fixed number
at a time; each attends to its ancestors. Only the ancestors of the next node are kept in the cache, so every node is
read once and memory is that of one row.
"""

# N nodes, one for each token; Q labels; T nodes being read, S those and their ancestors
# H heads, E width of one head

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nlptool.evaluation.requests import EncodedRequest, Tokens
from nlptool.models.base import Decoder, Inputs
from nlptool.models.kernels.cross_entropy import linear_scores

# Nodes read at once: with fewer, products are small; with more, more attention is masked.
NODES, ON_GPU = 256, 2048
BYTES = ">u4"  # these sort as the numbers do


class PrefixTree(NamedTuple):
    """Nodes in preorder, [N] each, and the labels in the order of their nodes, [Q] each."""

    ids: Tensor
    depths: Tensor
    """The node's position in its row."""
    ends: Tensor
    """The first later node that is not a descendant."""
    nodes: Tensor
    """The node from which an answer's token is predicted."""
    labels: Tensor
    """That token."""
    rows: Tensor
    """The number of the pair it belongs to."""


def build_prefix_tree(pairs: Sequence[EncodedRequest]) -> PrefixTree:
    """The tree of pairs with a context, independent of their order. The last token is not read."""
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
    # By node, then by label, so that the order of pairs does not matter.
    order_Q = np.lexsort((scored[1], scored[0]))
    columns = (
        np.concatenate(ids),
        np.concatenate(depths),
        ends_N[:count],
        *(each[order_Q] for each in scored),
    )
    return PrefixTree(*(torch.from_numpy(column.astype(np.int64)) for column in columns))


def _shared(above: np.ndarray, row: np.ndarray) -> int:
    """Length of the common prefix of two rows."""
    length = min(len(above), len(row))
    differ = above[:length] != row[:length]
    return int(differ.argmax()) if differ.any() else length


class TreeKVCache:
    """Keys and values of the ancestors of the nodes being read, as a model's cache.

    The tree stays in main memory, where the columns to keep are chosen; a GPU holds only the model's inputs.
    """

    def __init__(self, tree: PrefixTree, device: torch.device) -> None:
        self.tree, self.device, self.next = tree, device, 0
        self.columns = int(tree.depths.max()) + nodes_at_once(device)
        self.ends_S = tree.ends[:0]
        self.above = 0
        """Columns of nodes that were read."""
        self.buffers: dict[tuple[int, int], Tensor] = {}
        """Keys (0) and values (1) of each layer, [1, columns, H, E]."""

    def extend(self, tokens: int) -> Tensor:
        """Begin to read the next nodes; returns their positions, [1, T]."""
        begin, stop = self.next, self.next + tokens
        self._forget(begin)
        nodes_T = torch.arange(begin, stop, device=self.device)
        self.ends_S = torch.cat([self.ends_S, self.tree.ends[begin:stop]])
        self.mask_B1TS = (nodes_T[:, None] < self.ends_S.to(self.device)).tril(self.above)[None, None]
        self.next = stop
        return self.tree.depths[None, begin:stop].to(self.device)

    def put(self, layer: int, k_BTHE: Tensor, v_BTHE: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new nodes' keys and values of a layer; returns those of all visible nodes, [1, S, H, E] each."""
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
        """Drop all columns but the ancestors of this node."""
        kept = (self.ends_S > node).nonzero()[:, 0]
        stay = int((kept == torch.arange(len(kept))).sum())  # the first ones
        moved = kept[stay:].to(self.device)
        for buffer_BSHE in self.buffers.values():
            buffer_BSHE[:, stay : len(kept)] = buffer_BSHE[:, moved]
        self.ends_S, self.above = self.ends_S[kept], len(kept)


def nodes_at_once(device: torch.device) -> int:
    """Number of nodes that a model reads at once."""
    return NODES if device.type == "cpu" else ON_GPU


@torch.inference_mode()
def score_tokens(model: Decoder, pairs: Sequence[EncodedRequest]) -> Tokens:
    """A decoder's scores for each token of the answers.

    A function of the set of pairs and not of their order, to the last bit. Other pairs change an answer's
    log-probability by rounding alone: by at most 1e-5 of 188 nats, at GPT-2's smallest size.
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
