"""Key-value caches of causal models."""

# L layers, B rows, T new tokens, S columns, H heads, E width of one head, N rows to continue with

from typing import Protocol

import torch
from torch import Tensor


class KVCacheProtocol(Protocol):
    """The interface of a cache for the layers of a causal model."""

    @property
    def mask_B1TS(self) -> Tensor | None:  # noqa: N802
        """Attention mask of the new tokens, as `attend` takes it."""
        ...

    def extend(self, tokens: int) -> Tensor:
        """Begin to read `tokens` more tokens in each row; returns their positions, [B, T]."""
        ...

    def put(self, layer: int, k_BTHE: Tensor, v_BTHE: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new tokens' keys and values of a layer; returns those of all visible tokens, [B, S, H, E] each."""
        ...


class KVCache:
    """Keys and values of all tokens so far, so that a further token costs the work of one token.

    Token s of a row is in column s, so rows may have different lengths. Columns behind the end of a row are never
    attended to, and are overwritten as the row grows. A head's keys are contiguous, since reading them bounds the
    speed of one token's attention.

    whole: all columns are read, used or not, so that every step does the same work on the same memory, as CUDA
    graphs need. Full rows overwrite their last column and are invalid from then on.
    """

    def __init__(self, keys_LBHSE: Tensor, values_LBHSE: Tensor) -> None:
        self.keys_LBHSE, self.values_LBHSE = keys_LBHSE, values_LBHSE
        self.lengths_B = keys_LBHSE.new_zeros(keys_LBHSE.shape[1], dtype=torch.long)
        self.used = 0
        """Columns that any row uses."""
        self.even = True
        """Whether all rows have the same length."""
        self.positions_BT = self.lengths_B[:, None]
        """Positions of the new tokens."""
        self.mask_B1TS: Tensor | None = None
        """Added to scores: 0 where a new token attends, else -inf. None: it attends everywhere."""
        self.whole = False

    @property
    def columns(self) -> int:
        """Capacity of a row in tokens."""
        return self.keys_LBHSE.shape[3]

    def extend(self, tokens: int) -> Tensor:
        """Begin to read `tokens` more tokens in each row; returns their positions, [B, T]. ValueError without room."""
        self.used = self.columns if self.whole else self.used + tokens
        if self.used > self.columns:
            raise ValueError(f"{self.used} tokens in a cache with room for {self.columns}")
        device = self.lengths_B.device
        self.positions_BT = self.lengths_B[:, None] + torch.arange(tokens, device=device)
        if self.whole:
            self.positions_BT = self.positions_BT.clamp(max=self.columns - 1)
        self.lengths_B += tokens
        self.mask_B1TS = None
        if tokens > 1 or self.whole or not self.even:
            later_BTS = torch.arange(self.used, device=device) > self.positions_BT[:, :, None]
            mask_BTS = self.keys_LBHSE.new_zeros(later_BTS.shape).masked_fill_(later_BTS, -torch.inf)
            self.mask_B1TS = mask_BTS[:, None]
        batch, heads = self.keys_LBHSE.shape[1:3]
        first_BH = torch.arange(batch * heads, device=device).view(batch, heads) * self.columns
        self._places = (first_BH[:, :, None] + self.positions_BT[:, None]).flatten()
        return self.positions_BT

    def put(self, layer: int, k_BTHE: Tensor, v_BTHE: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new tokens' keys and values of a layer; returns those of all tokens, [B, S, H, E] each."""
        kept = []
        for buffer_LBHSE, new_BTHE in ((self.keys_LBHSE, k_BTHE), (self.values_LBHSE, v_BTHE)):
            buffer_BHSE = buffer_LBHSE[layer]
            new_BHTE = new_BTHE.transpose(1, 2).to(buffer_BHSE.dtype)
            buffer_BHSE.flatten(0, 2).index_copy_(0, self._places, new_BHTE.flatten(0, 2))
            kept.append(buffer_BHSE[:, :, : self.used].transpose(1, 2))
        return kept[0], kept[1]

    def cut(self, lengths_B: Tensor) -> None:
        """Truncate rows to these lengths, e.g. to drop the padding of prompts."""
        self.lengths_B = lengths_B.to(self.lengths_B, copy=True)
        lengths = lengths_B.tolist()
        self.used, self.even = max(lengths), len(set(lengths)) == 1

    def take(self, rows_N: Tensor) -> "KVCache":
        """A cache of selected rows, in any order and with repetitions: one prefix for many completions, or beams."""
        taken = KVCache(self.keys_LBHSE[:, rows_N], self.values_LBHSE[:, rows_N])
        taken.cut(self.lengths_B[rows_N])
        return taken
