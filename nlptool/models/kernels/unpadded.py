"""A padded batch as one long row of its real tokens, so that no product computes padding."""

# B batch, T tokens of the longest row, N tokens of all rows, K asked positions per row, D width

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.models.kernels import cpu


@dataclass(frozen=True)
class UnpaddedBatch:
    """Places of the tokens of [1, N, ...]. It takes the place of a mask: a token attends to those of its own row."""

    place: Tensor
    """[N], each token's place in [B * T]; filler tokens follow the rows, and their outputs are ignored."""
    lengths: tuple[int, ...]
    """Tokens of each row, and the number of filler tokens."""
    tokens: int
    """T."""
    query_count: int | None = None
    """Output positions of each row; None: all tokens."""

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
        """The same for `count` output positions in all, equally many of each row."""
        return replace(self, query_count=count // (len(self.lengths) - 1))


def usable(x: Tensor, lengths_B: Tensor, tokens: int) -> bool:
    """Whether a batch padded to `tokens` should be unpadded by a model with weights like x: on a CPU.

    Rows of equal length only without gradient, where the last layer then skips keys and values.
    """
    return cpu.usable(x) and (not torch.is_grad_enabled() or int(lengths_B.min()) < tokens)
