"""Beam search: an approximation of the most probable continuation."""

# P prompts, B beams of each, V vocabulary, K candidates of a prompt, R = P B rows of the model

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nlptool.evaluation.generation.logits_processors import NONE, LogitsProcessors
from nlptool.models.base import Decoder, Inputs
from nlptool.models.kv_cache import KVCache

STOPS = 6  # candidates of a beam that may end by a stop string, such as line breaks with preceding characters


@dataclass(frozen=True)
class Beams:
    """A search by `width` beams, scored by log-probability / penalty(tokens).

    GPT-3 uses width 4 and alpha 0.6, "as T5" (Brown et al. 2020, section 2.4), whose penalty is Wu et al.'s (2016,
    eq. 14), ((5 + tokens) / 6)^alpha. transformers has tokens^alpha, which favours long answers more.
    """

    width: int = 4
    penalty: Callable[[int], float] = lambda tokens: ((5 + tokens) / 6) ** 0.6
    processors: LogitsProcessors = NONE
    """Applied to the log-probabilities of each step, as in transformers; a penalty multiplies them all."""


@dataclass
class _Search:
    """The beams of one prompt."""

    beams: Beams
    ends: Collection[int]
    stopped: Callable[[list[int]], bool] | None
    running: list[list[int]]
    found: list[tuple[float, list[int]]] = field(default_factory=list)
    """Finished hypotheses and their scores, best first."""

    def step(
        self, candidates: Iterable[tuple[float, int, int]], *, last: bool
    ) -> list[tuple[int, int, float]]:
        """Extend the beams: the beam, token and score of each that is kept; none: the search is over.

        candidates: score, beam and token, best first. last: all end here.
        """
        before, self.running = self.running, []
        kept: list[tuple[int, int, float]] = []
        length, width = len(before[0]) + 1, self.beams.width
        for rank, (score, beam, token) in enumerate(candidates):
            if rank >= width and len(kept) == width:
                break
            ids = before[beam] if token in self.ends else [*before[beam], token]
            if token in self.ends or last or (self.stopped is not None and self.stopped(ids)):
                if rank < width and score > -math.inf:
                    self.found.append((score / self.beams.penalty(length), ids))
            elif len(kept) < width:
                self.running.append(ids)
                kept.append((beam, token, score))
        if kept:  # if nearly all candidates end, beams of score -inf fill up
            lack = width - len(kept)
            self.running += [self.running[0]] * lack
            kept += [(*kept[0][:2], -math.inf)] * lack
        self.found = sorted(self.found, key=lambda pair: -pair[0])[:width]
        full = len(self.found) == width
        return [] if full and kept and kept[0][2] / self.beams.penalty(length) <= self.found[-1][0] else kept


@torch.inference_mode()
def beam_hypotheses(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    ends: Collection[int] = (),
    beams: Beams | None = None,
    stopped: Callable[[list[int]], bool] | None = None,
) -> list[list[list[int]]]:
    """The best continuations of each prompt, at most as many as beams, best first, without the end token.

    stopped: whether a continuation ends with its last token, as after a stop string. At each step the best
    candidates of all beams are kept; those that end count if they are among the first `width`. A prompt is done when
    its best beam, if it ended now, would be no better than the worst of `width` finished hypotheses (transformers'
    early_stopping=False), or at the last position. A prompt's result does not depend on the others of its batch.
    """
    if not prompts or not tokens:
        return [[[]] for _ in prompts]
    beams = beams or Beams()
    width, candidates = beams.width, beams.width * (1 + max(1, len(ends)))
    if stopped is not None:
        candidates += width * STOPS
    device, (vocab, _) = model.word_embeddings.device, model.word_embeddings.shape
    candidates = min(candidates, width * vocab)
    searches = [_Search(beams, ends, stopped, [[] for _ in range(width)]) for _ in prompts]
    hidden_RD, cache = _read(model, prompts, tokens, width)
    scores_PB = torch.full((len(prompts), width), -torch.inf, device=device)
    scores_PB[:, 0] = 0  # all beams of a prompt are still equal: one stands for them
    unfinished = list(range(len(prompts)))
    for length in range(1, tokens + 1):
        scores_RV = model.logits(hidden_RD).float().log_softmax(-1)
        read = [[*prompts[number], *ids] for number in unfinished for ids in searches[number].running]
        scores_PK, places_PK = _candidates(beams.processors(scores_RV, read), scores_PB, candidates)
        kept, still = [], []
        for p, (number, scores, places) in enumerate(
            zip(unfinished, scores_PK.tolist(), places_PK.tolist(), strict=True)
        ):
            found = ((score, *divmod(place, vocab)) for score, place in zip(scores, places, strict=True))
            last = length == tokens or len(prompts[number]) + length > model.config.max_positions
            if rows := searches[number].step(found, last=last):
                kept += [(p * width + beam, token, score) for beam, token, score in rows]
                still.append(number)
        if not still:
            break
        unfinished = still
        rows_R, ids_R, scores_R = (torch.tensor(column, device=device) for column in zip(*kept, strict=True))
        cache = cache.take(rows_R)
        hidden_RD = model(Inputs(ids=ids_R[:, None]), cache)[:, 0]
        scores_PB = scores_R.view(len(unfinished), width)
    return [[ids for _, ids in search.found] for search in searches]


def _read(
    model: Decoder, prompts: Sequence[Sequence[int]], tokens: int, width: int
) -> tuple[Tensor, KVCache]:
    """The last hidden state of each prompt, [R, D], and the cache of all beams; each prompt is read once."""
    device, longest = model.word_embeddings.device, max(map(len, prompts))
    padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    lengths_P = torch.tensor([len(prompt) for prompt in prompts], device=device)
    cache = model.cache(len(prompts), longest + tokens)
    inputs = Inputs(ids=torch.tensor(padded, device=device), output_positions=lengths_P[:, None] - 1)
    hidden_P1D = model(inputs, cache)
    cache.cut(lengths_P)
    every_R = torch.arange(len(prompts), device=device).repeat_interleave(width)
    return hidden_P1D[every_R, 0], cache.take(every_R)


def _candidates(scores_RV: Tensor, scores_PB: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Scores and places (beam * V + token) of the best next tokens of each prompt, [P, K], best first."""
    prompts, width = scores_PB.shape
    scores_PBV = scores_RV.view(prompts, width, -1) + scores_PB[:, :, None]
    scores_PK, at_PK = scores_PBV.flatten(1).topk(count)
    return scores_PK, at_PK
