"""Choice of the next token: greedy, or sampled with temperature, top-k and top-p."""

# N unfinished prompts, V vocabulary, K candidates, the most probable first

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nlptool.data.random_streams import RandomStreams
from nlptool.evaluation.generation.logits_processors import NONE, LogitsProcessors

COLD = 1e-4  # a temperature below which the division hardly distinguishes similar logits, or overflows
STREAM = 7  # of random numbers
FEW = 1024  # candidates sorted first, since sorting all takes longer than the layers of a small model


class DecodingState(NamedTuple):
    """The prompts that get a further token."""

    numbers: Sequence[int]
    """Number of each among all prompts."""
    ids: Sequence[Sequence[int]]
    """Tokens of each so far: prompt and generated ones."""
    generated: Sequence[int]
    """Number of generated tokens of each."""


Choose = Callable[[Tensor, DecodingState], Tensor]
"""From logits [N, V] to one token for each prompt, [N]."""


def greedy(logits_NV: Tensor, state: DecodingState) -> Tensor:
    """The most probable token."""
    return logits_NV.argmax(-1)


@dataclass(frozen=True)
class Sampling:
    """Samples the next token. A Choose.

    A prompt's random numbers are a function of (seed, its number, generated tokens), so its result depends neither
    on the batch size nor on other prompts. Filters come in transformers' order: processors, temperature, top-k,
    top-p. transformers keeps all tokens that tie with the last one of top-k.
    """

    temperature: float = 1.0
    """Logits are divided by it; 0, or next to it: greedy."""
    top_k: int = 0
    """Only the k most probable tokens; 0: all."""
    top_p: float = 1.0
    """Only the most probable tokens with this total probability (nucleus sampling, Holtzman et al. 2020)."""
    seed: int = 0
    processors: LogitsProcessors = NONE
    """Applied to the logits first."""

    def __call__(self, logits_NV: Tensor, state: DecodingState) -> Tensor:
        """One token for each prompt, [N]."""
        logits_NV = self.processors(logits_NV, state.ids)
        if self.temperature < COLD:
            return logits_NV.argmax(-1)
        p_NK, ids_NK = filtered(logits_NV, self.temperature, self.top_k, self.top_p)
        draws = [
            RandomStreams(self.seed, generated, number).uniform(STREAM, 1, 1).item()
            for number, generated in zip(state.numbers, state.generated, strict=True)
        ]
        reached_NK = p_NK.cumsum(-1)
        target_N1 = torch.tensor(draws, dtype=p_NK.dtype, device=p_NK.device)[:, None] * reached_NK[:, -1:]
        at_N1 = torch.searchsorted(reached_NK, target_N1, right=True)
        return ids_NK.gather(1, at_N1.clamp(max=ids_NK.shape[1] - 1))[:, 0]


def renumbered(choose: Choose, numbers: Sequence[int]) -> Choose:
    """The same for prompts with these numbers, so that samples do not depend on the batch."""
    return lambda logits_NV, state: choose(
        logits_NV, state._replace(numbers=[numbers[n] for n in state.numbers])
    )


def filtered(logits_NV: Tensor, temperature: float, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """The candidates: probabilities and tokens, both [N, K], most probable first; float64, as are the sums.

    Candidates excluded by top-p have probability 0; a row need not add up to 1.
    """
    vocab = logits_NV.shape[-1]
    scores_NV = logits_NV.double() / temperature
    total_N1 = scores_NV.logsumexp(-1, keepdim=True)
    for candidates in dict.fromkeys((min(top_k or FEW, vocab), min(top_k or vocab, vocab))):
        scores_NK, ids_NK = scores_NV.topk(candidates)
        p_NK = scores_NK.softmax(-1) if top_k else (scores_NK - total_N1).exp()
        before_NK = p_NK.cumsum(-1) - p_NK
        if top_k or (before_NK[:, -1] >= top_p).all():
            break
    if top_p < 1:
        p_NK = p_NK.masked_fill(before_NK >= top_p, 0)
        p_NK[:, 0] = p_NK[:, 0].clamp(min=torch.finfo(p_NK.dtype).tiny)
    return p_NK, ids_NK
