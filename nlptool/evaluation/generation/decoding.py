"""Decoding steps: the model reads the last tokens of each text and returns logits of the next."""

# N rows, T tokens, V vocabulary

from collections.abc import Sequence

import torch
from torch import Tensor

from nlptool.models.base import Decoder, Inputs


class DecodingSession:
    """The state of a batch of texts that a decoder continues.

    Launching the hundred kernels of a step takes a GPU longer than running them, so they are recorded once in a CUDA
    graph, which repeats them on the same memory. Then every text gets one token a step, finished ones too, until
    half of them are finished, since fewer rows need another graph.
    """

    def __init__(self, model: Decoder, prompts: Sequence[Sequence[int]], tokens: int) -> None:
        """tokens: number of tokens to generate for each."""
        self.model = model
        self.device: torch.device = model.word_embeddings.device
        self.on_gpu = self.device.type == "cuda"
        self._prompts, longest = prompts, max(map(len, prompts))
        self.cache = model.cache(len(prompts), longest + tokens)
        self.graph: torch.cuda.CUDAGraph | None = None

    @property
    def room(self) -> int:
        """Number of tokens that every text has room for, in the cache and in the model's positions."""
        return self.cache.columns - self.cache.used

    def begin(self) -> Tensor:
        """Read the prompts; returns logits [N, 1, V] of the next token."""
        longest = max(map(len, self._prompts))
        padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in self._prompts]
        lengths_N = torch.tensor([len(prompt) for prompt in self._prompts], device=self.device)
        ids_NT = torch.tensor(padded, dtype=torch.long, device=self.device)
        inputs = Inputs(ids=ids_NT, output_positions=lengths_N[:, None] - 1)
        hidden_N1D = self.model(inputs, self.cache)
        self.cache.cut(lengths_N)  # the padding is removed again
        return self.model.logits(hidden_N1D)

    def read(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Read equally many tokens of each text; returns logits [N, T, V], which are valid until the next call."""
        ids_NT = torch.tensor(rows, dtype=torch.long, device=self.device)
        if not self.on_gpu:
            return self._step(ids_NT)
        if self.graph is None:
            self._capture()
        assert self.graph is not None
        self.ids_N1.copy_(ids_NT)
        self.graph.replay()
        return self.logits_N1V

    def forget(self, lengths: Sequence[int]) -> None:
        """Truncate each text to this many tokens."""
        self.cache.cut(torch.tensor(lengths))

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these texts."""
        self.cache, self.graph = self.cache.take(torch.tensor(rows, device=self.device)), None

    def worth_it(self, rows: int) -> bool:
        """Whether it pays to keep only this many rows."""
        now = len(self.cache.lengths_B)
        return rows <= now / 2 if self.on_gpu else rows < now

    def _step(self, ids_NT: Tensor) -> Tensor:
        return self.model.logits(self.model(Inputs(ids=ids_NT), self.cache))

    def _capture(self) -> None:
        cache = self.cache
        cache.whole = True
        self.ids_N1 = torch.zeros(len(cache.lengths_B), 1, dtype=torch.long, device=self.device)
        before_B = cache.lengths_B.clone()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # once before recording, which chooses kernels and allocates memory
            self._step(self.ids_N1)
        torch.cuda.current_stream().wait_stream(stream)
        cache.lengths_B.copy_(before_B)  # columns behind the rows' ends are overwritten
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.logits_N1V = self._step(self.ids_N1)
