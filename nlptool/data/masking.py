"""Which tokens a masked language model predicts, and what replaces them in its input.

`mask` does everything. The rest are its parts: pure functions on whole batches, with all randomness passed in as
uniform numbers. A row's result depends on that row's ids and numbers alone.
"""

# B rows, T tokens, K slots for masked positions, U units (words or tokens), numbered from 0 in each row

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary

Ids = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Uniforms = NDArray[np.float64]

ORDER, SIZE, WHAT, WHICH = range(4)
"""Streams of random numbers; those from 16 on are data/pretraining_examples'."""


def budget(lengths_B: Ints, rate: float) -> Ints:
    """Positions to mask in rows of so many tokens, special ones included: max(1, round(rate * length)).

    As in BERT's create_pretraining_data.py, without its separate cap max_predictions_per_seq.
    """
    rounded_B: Ints = np.rint(rate * lengths_B).astype(np.int64)
    return np.maximum(1, rounded_B)


def pick_tokens(candidates_BT: Bools, budget_B: Ints, order_BT: Uniforms) -> Bools:
    """[B, T], True at the budget_B candidates of least `order`; at all of them where there are fewer."""
    keys = np.where(candidates_BT, order_BT, 2.0)
    most = min(int(budget_B.max(initial=0)), keys.shape[1])
    scanned = np.argsort(keys, axis=1)[:, :most]
    picked = np.zeros(keys.shape, bool)
    np.put_along_axis(picked, scanned, np.arange(most) < budget_B[:, None], axis=1)
    return picked & candidates_BT


def word_starts(ids_BT: Ids, candidates_BT: Bools, vocabulary: Vocabulary) -> Bools:
    """[B, T], True where a candidate begins a word; the first one after anything else always does."""
    starts = candidates_BT.copy()
    first, last = vocabulary.first_class[ids_BT[:, 1:]], vocabulary.last_class[ids_BT[:, :-1]]
    starts[:, 1:] &= (first != last) | ~candidates_BT[:, :-1]
    return starts


def cut_words(starts_BT: Bools, candidates_BT: Bools, most_B: Ints) -> Bools:
    """The starts, and one more after every most_B tokens of a word, since a longer word could never be masked."""
    place_T = np.arange(starts_BT.shape[1])
    begin_BT = np.maximum.accumulate(np.where(starts_BT, place_T, 0), axis=1)
    parts_BT: Bools = candidates_BT & ((place_T - begin_BT) % most_B[:, None] == 0)
    return parts_BT


def pick_words(starts_BT: Bools, candidates_BT: Bools, budget_B: Ints, order_BT: Uniforms) -> Bools:
    """[B, T], True at the tokens of whole units, at most budget_B tokens per row: `pick_spans` with ngram 1.

    Processes whole runs of the scan at a time: takes what fits, and skips all later units longer than the rest of
    the budget.
    """
    unit_BT, begin_BU, units_B = _units(starts_BT, candidates_BT, 0)
    tokens = order_BT.shape[1]
    scan_BU = np.argsort(np.where(np.arange(tokens) < units_B[:, None], order_BT, 2.0), axis=1)
    size_BU = np.take_along_axis(np.diff(begin_BU), scan_BU, axis=1)
    while True:
        total_BU = np.cumsum(size_BU, axis=1)
        fits_BU = total_BU <= budget_B[:, None]
        left_B = budget_B - np.where(fits_BU, total_BU, 0).max(axis=1)
        too_long_BU = ~fits_BU & (size_BU > left_B[:, None])
        if not too_long_BU.any():
            break
        size_BU[too_long_BU] = 0
    taken_BU = np.zeros((len(order_BT), tokens + 1), bool)
    np.put_along_axis(taken_BU, scan_BU, size_BU > 0, axis=1)
    return np.take_along_axis(taken_BU, unit_BT, axis=1)


def pick_spans(
    starts_BT: Bools, candidates_BT: Bools, budget_B: Ints, order_BT: Uniforms, size_BT: Uniforms, ngram: int
) -> Bools:
    """[B, T], True at the tokens of spans of 1 to `ngram` whole units, at most budget_B tokens per row.

    starts_BT: where a unit begins; it lasts to the next start. Tokens that are not candidates
    do not end a span, as in ALBERT's code: a span may reach over a [SEP], which is unchanged.

    The scan is BERT's and ALBERT's. Units are taken in the order of `order` (unit u of a row has number u of
    its row). From each, a span of n units, p(n) ~ 1/n (ALBERT, section 4.1; n from `size`), is shortened
    until it fits the rest of the budget; it is dropped when not even one unit fits or when it would meet an
    earlier span. A unit is never split, so a row may end under its budget.
    """
    unit_BT, begin_BU, units_B = _units(starts_BT, candidates_BT, ngram)
    row_B = np.arange(len(units_B))
    taken_BU = np.zeros(begin_BU.shape, bool)
    chances_N = np.cumsum(1 / np.arange(1, ngram + 1))
    wanted_BU = 1 + np.searchsorted(chances_N[:-1], size_BT * chances_N[-1], side="right")
    keys_BU = np.where(np.arange(order_BT.shape[1]) < units_B[:, None], order_BT, 2.0)
    length_BU = np.diff(begin_BU[:, : order_BT.shape[1] + 1])
    left_B = budget_B.copy()
    while True:
        keys_BU[length_BU > left_B[:, None]] = 2.0  # too long now is too long for the rest of the scan
        unit_B = keys_BU.argmin(axis=1)
        alive_B = keys_BU[row_B, unit_B] < 2.0
        if not alive_B.any():
            break
        keys_BU[row_B, unit_B] = 2.0
        span_BN = unit_B[:, None] + np.arange(ngram)
        tokens_BN = begin_BU[row_B[:, None], span_BN + 1] - begin_BU[row_B, unit_B][:, None]
        fits_B = (tokens_BN <= left_B[:, None]).sum(axis=1)
        size_B = np.minimum(np.minimum(wanted_BU[row_B, unit_B], fits_B), units_B - unit_B)
        inside_BN = np.arange(ngram) < size_B[:, None]
        alive_B &= ~(taken_BU[row_B[:, None], span_BN] & inside_BN).any(axis=1)
        taken_BU[row_B[:, None], span_BN] |= inside_BN & alive_B[:, None]
        left_B -= np.where(alive_B, tokens_BN[row_B, size_B - 1], 0)
    return np.take_along_axis(taken_BU, unit_BT, axis=1) & candidates_BT


def _units(starts_BT: Bools, candidates_BT: Bools, spare: int) -> tuple[Ints, Ints, Ints]:
    """The unit of each token, [B, T]; candidates before each unit, [B, T + 1 + spare]; units per row, [B].

    Entries behind a row's last unit hold the number of its candidates.
    """
    rows, tokens = starts_BT.shape
    unit_BT = np.where(candidates_BT, np.cumsum(starts_BT, axis=1) - 1, tokens)
    counts = np.bincount(
        (unit_BT + (tokens + 1) * np.arange(rows)[:, None]).ravel(), minlength=rows * (tokens + 1)
    )
    begin_BU = np.zeros((rows, tokens + 1 + spare), np.int64)
    begin_BU[:, 1 : tokens + 1] = np.cumsum(counts.reshape(rows, tokens + 1)[:, :tokens], axis=1)
    begin_BU[:, tokens + 1 :] = begin_BU[:, [tokens]]
    return unit_BT, begin_BU, starts_BT.sum(axis=1)


def slots(picked_BT: Bools, width: int) -> tuple[Ints, Bools]:
    """Positions of the picked tokens, ascending, in `width` slots per row, and which slots are used: [B, K].

    Unused slots hold position 0.
    """
    row, column = np.nonzero(picked_BT)
    counts_B = picked_BT.sum(axis=1)
    at_BK = np.zeros((len(picked_BT), width), np.int64)
    at_BK[row, np.arange(len(row)) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)] = column
    return at_BK, np.arange(width) < counts_B[:, None]


def masked_inputs(
    originals_BK: Ids,
    what_BK: Uniforms,
    which_BK: Uniforms,
    corrupt: tuple[float, float, float],
    vocabulary: Vocabulary,
) -> Ids:
    """The input at masked tokens: [MASK], a random token, or the token itself, chosen independently.

    corrupt: shares of the three (BERT, appendix A.1: 80 %, 10 %, 10 %).

    A random token is any but a special one, as in RoBERTa; BERT's code draws from the whole list, [CLS] and
    [PAD] included.
    """
    masked, random, _ = corrupt
    choice_BK = vocabulary.ordinary[(which_BK * len(vocabulary.ordinary)).astype(np.int64)]
    shown = np.where(what_BK < masked + random, choice_BK, originals_BK)
    return np.where(what_BK < masked, vocabulary.special["mask"], shown)


@dataclass(frozen=True)
class MaskingScheme:
    """How many tokens are masked, in what units, and what replaces them."""

    rate: float
    whole_word: bool
    ngram: int
    corrupt: tuple[float, float, float]


class MaskedBatch(NamedTuple):
    """Masked rows. K is the budget of a row without padding, so shapes do not vary."""

    ids: Ids
    """[B, T], the model's input."""
    at: Ints
    """[B, K], masked positions, ascending; 0 in unused slots."""
    originals: Ids
    """[B, K], the original tokens."""
    used: Bools
    """[B, K]."""


def mask(
    ids_BT: Ids, lengths_B: Ints | None, scheme: MaskingScheme, vocabulary: Vocabulary, draws: RandomStreams
) -> MaskedBatch:
    """Mask each row, except special tokens and padding.

    lengths_B: real tokens per row, which set its budget; None: no row has padding.
    """
    rows, tokens = ids_BT.shape
    budget_B = budget(np.full(rows, tokens) if lengths_B is None else lengths_B, scheme.rate)
    width = int(budget(np.array([tokens]), scheme.rate)[0])
    candidates_BT = ~vocabulary.is_special[ids_BT]
    order_BT = draws.uniform(ORDER, rows, tokens)
    starts_BT = candidates_BT
    if scheme.whole_word:
        starts_BT = cut_words(word_starts(ids_BT, candidates_BT, vocabulary), candidates_BT, budget_B)
    if scheme.ngram > 1:
        size_BT = draws.uniform(SIZE, rows, tokens)
        picked_BT = pick_spans(starts_BT, candidates_BT, budget_B, order_BT, size_BT, scheme.ngram)
    elif scheme.whole_word:
        picked_BT = pick_words(starts_BT, candidates_BT, budget_B, order_BT)
    else:
        picked_BT = pick_tokens(candidates_BT, budget_B, order_BT)
    at_BK, used_BK = slots(picked_BT, width)
    originals_BK = np.take_along_axis(ids_BT, at_BK, axis=1)
    what_BK, which_BK = draws.uniform(WHAT, rows, width), draws.uniform(WHICH, rows, width)
    shown_BK = masked_inputs(originals_BK, what_BK, which_BK, scheme.corrupt, vocabulary)
    masked_BT = ids_BT.copy()
    row, slot = np.nonzero(used_BK)
    masked_BT[row, at_BK[row, slot]] = shown_BK[row, slot]
    return MaskedBatch(masked_BT, at_BK, originals_BK, used_BK)


def mask_with_replacement(
    ids_BT: Ids,
    lengths_B: Ints | None,
    rate: float,
    masked: float,
    vocabulary: Vocabulary,
    draws: RandomStreams,
) -> MaskedBatch:
    """Mask rows as ELECTRA's pretrain_helpers.py does: each slot samples a position independently.

    lengths_B: real tokens per row; None: no row has padding.
    masked: probability that a slot shows [MASK] at its position; else it shows the original token.

    So positions are unordered, about 7 % of slots at 15 % of 128 tokens repeat one, and less than `rate` of the
    tokens is predicted. A row of T tokens uses min(int((rate + 0.005) T), round(rate length)) slots, at least 1.
    """
    rows, tokens = ids_BT.shape
    most = int((rate + 0.005) * tokens)
    slots_B = np.clip(
        budget(np.full(rows, tokens) if lengths_B is None else lengths_B, rate), 1, max(1, most)
    )
    width = max(1, min(most, round(rate * tokens)))
    candidates_BT = ~vocabulary.is_special[ids_BT]
    count_B1 = candidates_BT.sum(axis=1, keepdims=True)
    chosen_BK = (draws.uniform(ORDER, rows, width) * count_B1).astype(np.int64)
    at_BK = np.take_along_axis(np.argsort(~candidates_BT, axis=1, kind="stable"), chosen_BK, axis=1)
    used_BK = (count_B1 > 0) & (np.arange(width) < slots_B[:, None])
    row, slot = np.nonzero(used_BK & (draws.uniform(WHAT, rows, width) < masked))
    masked_BT = ids_BT.copy()
    masked_BT[row, at_BK[row, slot]] = vocabulary.special["mask"]
    at_BK = np.where(used_BK, at_BK, 0)
    return MaskedBatch(masked_BT, at_BK, np.take_along_axis(ids_BT, at_BK, axis=1), used_BK)
