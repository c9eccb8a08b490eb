"""One more token of every row: the step that a decoder repeats."""

# N rows, V vocabulary

from typing import Any

import torch
from torch import Tensor

from nlptool.models.cache import Cache


class Steps:
    """Reads a token of each row of a cache that has read its prompts; says what comes next.

    A GPU takes longer to be told of the hundred kernels of a step than to carry them out, so it is told once, by a
    CUDA graph, and repeats them on the same memory.
    """

    def __init__(self, net: Any, cache: Cache) -> None:
        self.net, self.cache = net, cache
        self.graph: torch.cuda.CUDAGraph | None = None
        if cache.keys_LBHSE.is_cuda:
            self._capture()

    def __call__(self, ids_N1: Tensor) -> Tensor:
        """Logits [N, V] of the token after this one; valid until the next call."""
        if self.graph is None:
            return self._step(ids_N1)
        self.ids_N1.copy_(ids_N1)
        self.graph.replay()
        return self.logits_NV

    def _step(self, ids_N1: Tensor) -> Tensor:
        logits_NV: Tensor = self.net.logits(self.net(ids_N1, self.cache)[:, 0])
        return logits_NV

    def _capture(self) -> None:
        cache = self.cache
        cache.whole = True
        self.ids_N1 = torch.zeros(len(cache.lengths_B), 1, dtype=torch.long, device=cache.lengths_B.device)
        before_B = cache.lengths_B.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # once before, since kernels are chosen and memory is taken then
            self._step(self.ids_N1)
        torch.cuda.current_stream().wait_stream(stream)
        cache.lengths_B.copy_(before_B)  # what was written behind the rows' ends is written over
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.logits_NV = self._step(self.ids_N1)


def share_worth_keeping(device: torch.device) -> float:
    """Rows that are done are dropped when at most this share goes on: on a GPU each time costs a new graph."""
    return 1.0 if device.type == "cpu" else 0.5
