"""Search of the best answers to a question, given a model's logits for each window of its context."""

# T tokens of a window that belong to the context, L tokens of the longest answer

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.data.qa_windows import QAWindowDataset
from nlptool.tasks.base import Numbers


class SpanPrediction(NamedTuple):
    """An answer: the sum of its start and end logits, and its first and last token in the context."""

    logit: float
    first: int
    last: int


def search(
    rows: QAWindowDataset, logits: Numbers, windows: range, *, number: int, longest: int
) -> list[SpanPrediction]:
    """The `best` answers of a row's windows, best first. logits: [2N, tokens of the longest window].

    longest: tokens of an answer. As in google-research/bert run_squad.py, of several windows an answer is taken from
    the one where its first token has the most context. That script combines the best starts and ends and then
    filters valid pairs; here all pairs are considered, so none is missed.
    """
    fits = max_answer_length(rows, windows)
    found = []
    for window, fits_T in zip(windows, fits, strict=True):
        inside = slice(rows.before[window], rows.before[window] + rows.size[window])
        starts_T = np.where(fits_T, logits[2 * window, inside], -np.inf)
        logits_TL = starts_T[:, None] + _following(logits[2 * window + 1, inside], longest)
        flat = logits_TL.ravel()
        best = np.argpartition(-flat, number)[:number] if len(flat) > number else np.arange(len(flat))
        begin = int(rows.first[window])
        for place in best[np.isfinite(flat[best])].tolist():
            first, further = divmod(place, logits_TL.shape[1])
            found.append(SpanPrediction(float(flat[place]), begin + first, begin + first + further))
    return sorted(found, key=lambda one: (-one.logit, one.first, one.last))[:number]


def no_answer(logits: Numbers, windows: range) -> float:
    """The logit of the null answer: the smallest sum of start and end logits of [CLS] over all windows."""
    return float(min(logits[2 * window, 0] + logits[2 * window + 1, 0] for window in windows))


def max_answer_length(rows: QAWindowDataset, windows: range) -> list[NDArray[np.bool_]]:
    """For each window's tokens whether no other window has more context around them (_check_is_max_context there).

    The context is the smaller of the sides to the left and right, plus a hundredth of the window's size; the first
    of equals counts.
    """
    if len(windows) == 1:
        return [np.ones(rows.size[windows[0]], bool)]
    end = int(rows.first[windows[-1]] + rows.size[windows[-1]])
    around_WT = np.full((len(windows), end), -1.0)
    for around_T, window in zip(around_WT, windows, strict=True):
        size = int(rows.size[window])
        places = np.arange(size)
        begin = int(rows.first[window])
        around_T[begin : begin + size] = np.minimum(places, size - 1 - places) + 0.01 * size
    chosen = around_WT.argmax(0)
    return [
        chosen[rows.first[window] : rows.first[window] + rows.size[window]] == number
        for number, window in enumerate(windows)
    ]


def _following(ends_T: Numbers, longest: int) -> Numbers:
    """[T, L]: the end logits at a token and at the following ones; -inf behind the last."""
    longest = min(longest, len(ends_T))
    padded = np.concatenate([ends_T, np.full(longest - 1, -np.inf)])
    return np.lib.stride_tricks.sliding_window_view(padded, longest)
