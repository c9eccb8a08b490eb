"""Logits processors, the same for greedy decoding, sampling and beam search."""

# N rows, V vocabulary

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LogitsProcessors:
    """Processors in the order of transformers: repetition penalty, then no repeated n-grams.

    Both consider all tokens of a row, the prompt's included, as transformers' do for a decoder.
    """

    repetition_penalty: float = 1.0
    """Makes tokens that occurred before less likely (CTRL, Keskar et al. 2019, section 4.1); 1: off."""
    no_repeat_ngram_size: int = 0
    """No n-gram of this size occurs twice (Paulus et al. 2018, section 2.5); 0: off."""

    def __call__(self, logits_NV: Tensor, ids: Sequence[Sequence[int]]) -> Tensor:
        """Logits or log-probabilities, [N, V], of the token after each row of ids; a copy if anything changes."""
        if self.repetition_penalty != 1:
            logits_NV = penalised(logits_NV, ids, self.repetition_penalty)
        if self.no_repeat_ngram_size:
            logits_NV = without_repeated_ngrams(logits_NV, ids, self.no_repeat_ngram_size)
        return logits_NV


NONE = LogitsProcessors()


def penalised(logits_NV: Tensor, ids: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """Divide the logits of tokens that the row has already by `penalty`, or multiply them if negative.

    CTRL divides all of them, which makes tokens with a negative logit more likely; transformers does as here.
    """
    logits_NV = logits_NV.clone()
    for row_V, seen in zip(logits_NV, ids, strict=True):
        at = torch.tensor(sorted(set(seen)), device=row_V.device)
        found = row_V[at]
        row_V[at] = torch.where(found < 0, found * penalty, found / penalty)
    return logits_NV


def without_repeated_ngrams(logits_NV: Tensor, ids: Sequence[Sequence[int]], size: int) -> Tensor:
    """Set the logits of tokens that would repeat an n-gram of the row to -inf.

    If that is every token of the vocabulary, none is changed.
    """
    logits_NV = logits_NV.clone()
    for row_V, seen in zip(logits_NV, ids, strict=True):
        banned = _completions(seen, size)
        if 0 < len(banned) < len(row_V):
            row_V[torch.tensor(banned, device=row_V.device)] = -math.inf
    return logits_NV


def _completions(ids: Sequence[int], size: int) -> list[int]:
    """The tokens that followed earlier occurrences of the last `size - 1` tokens."""
    if size == 1:
        return sorted(set(ids))
    last = list(ids[1 - size :])
    if len(last) < size - 1:
        return []
    begins = range(len(ids) - size + 1)
    return sorted({ids[at + size - 1] for at in begins if list(ids[at : at + size - 1]) == last})
