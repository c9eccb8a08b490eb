"""Rows of several lengths, one behind the other, as one long row: no product meets padding."""

# B batch, T tokens of the longest row, N tokens of all rows, K asked positions per row, D width

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.models.kernels import cpu


@dataclass(frozen=True)
class UnpaddedBatch:
    """Where the tokens of [1, N, ...] belong. A token looks at those of its own row: this stands for a mask."""

    place: Tensor
    """[N], where each token stands in [B * T]; behind all rows some that are computed and never asked for."""
    lengths: tuple[int, ...]
    """Tokens of each row, and how many are never asked for."""
    tokens: int
    """T."""
    query_count: int | None = None
    """Positions of each row that queries are of; None: all."""

    @classmethod
    def of(cls, lengths_B: Tensor, tokens: int) -> "UnpaddedBatch":
        """For rows that are padded to `tokens`."""
        real_BT = torch.arange(tokens) < lengths_B[:, None]
        place_N = real_BT.view(-1).nonzero().view(-1)
        filler = -len(place_N) % cpu.step(len(place_N))
        return cls(F.pad(place_N, (0, filler)), (*lengths_B.tolist(), filler), tokens)

    @property
    def positions(self) -> Tensor:
        """[1, N], the position of each token in its row."""
        return (self.place % self.tokens)[None]

    @property
    def queries(self) -> tuple[int, ...]:
        """Queries of each row."""
        return (
            self.lengths if self.query_count is None else (*(self.query_count for _ in self.lengths[1:]), 0)
        )

    def pack(self, x_BT: Tensor) -> Tensor:
        """[B, T] -> [1, N]."""
        return x_BT.reshape(-1)[self.place][None]

    def pad(self, x_1ND: Tensor) -> Tensor:
        """[1, N, D] -> [B, T, D], with 0 as padding."""
        *lengths, filler = self.lengths
        real, width = len(self.place) - filler, x_1ND.shape[-1]
        padded = x_1ND.new_zeros(len(lengths) * self.tokens, width)
        return padded.index_copy(0, self.place[:real], x_1ND[0, :real]).view(len(lengths), self.tokens, width)

    def at(self, at_BK: Tensor) -> Tensor:
        """[1, B * K]: positions of real tokens within rows as positions within [1, N]."""
        lengths_B = torch.tensor(self.lengths[:-1])
        return (at_BK + (lengths_B.cumsum(0) - lengths_B)[:, None]).view(1, -1)

    def of_queries(self, count: int) -> "UnpaddedBatch":
        """The same, when `count` positions are asked for in all, as many of each row."""
        return replace(self, query_count=count // (len(self.lengths) - 1))


def usable(x: Tensor, lengths_B: Tensor, tokens: int) -> bool:
    """Whether rows that are padded to `tokens` are laid end to end by a model with weights like x: on a CPU.

    Rows of equal length only where no gradient follows: the last layer then makes no keys and values.
    """
    return cpu.usable(x) and (not torch.is_grad_enabled() or int(lengths_B.min()) < tokens)
