"""Requests to score answers given their contexts, and their token ids, truncated as in lm-eval 0.4."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from nlptool.errors import DataError
from nlptool.formatting import counted, json_value
from nlptool.text.tokenizer import Tokenizer

AT_ONCE = 4096  # requests encoded at once

Tokens = Iterator[tuple[int, float, bool]]
"""For each token of an answer: the request's number, the log-probability, whether it is the most probable one."""


class Request(NamedTuple):
    """An answer to score after a context. A space between the two belongs to the answer."""

    context: str
    answer: str
    place: str = ""
    """Its place in the input, for error messages."""

    def fault(self, wrong: str, hint: str | None = None) -> DataError:
        """A DataError about this request."""
        return DataError(f"{self.place}: {wrong}" if self.place else wrong, hint)


class Scored(NamedTuple):
    """Scores of an answer."""

    logprob: float
    """Nats, summed over the answer's tokens."""
    tokens: int
    """Tokens of the answer."""
    greedy: bool
    """Whether each of them is the most probable one."""
    cut: int = 0
    """Tokens truncated off the beginning of the context to fit the model's positions."""


class EncodedRequest(NamedTuple):
    """A request as token ids."""

    context: Sequence[int]
    answer: Sequence[int]
    cut: int = 0


def encoded(requests: Sequence[Request], tokenizer: Tokenizer) -> list[EncodedRequest]:
    """The ids of each request, as in lm-eval's `_encode_pair`.

    White space at the end of a context moves to the answer. Both are encoded together, and the answer's tokens
    follow as many as the context has alone. A context of white space becomes an empty one, which lm-eval refuses.
    Raises DataError for an answer that adds no token.
    """
    pairs: list[EncodedRequest] = []
    for begin in range(0, len(requests), AT_ONCE):
        pairs += _encoded(requests[begin : begin + AT_ONCE], tokenizer)
    return pairs


def _encoded(requests: Sequence[Request], tokenizer: Tokenizer) -> list[EncodedRequest]:
    """Ids as arrays: lists of numbers take ten times as much memory."""
    contexts = [request.context.rstrip() for request in requests]
    wholes = [request.context + request.answer for request in requests]
    distinct = list(dict.fromkeys([*contexts, *wholes]))
    found = (array("i", ids) for ids in tokenizer.encode_batch(distinct))
    ids = dict(zip(distinct, found, strict=True))
    pairs = []
    for request, context, whole in zip(requests, contexts, wholes, strict=True):
        answer = ids[whole][len(ids[context]) :]
        if not answer:
            raise request.fault(
                f"the answer {json_value(request.answer)} adds no token to {json_value(_end(request.context))}",
                "a token reaches across the join: let the answer begin a word, with a space in front of it, as the "
                "task's answer: ' {choice}'; or fix or remove the row"
                if request.answer.strip()
                else "fix or remove the row",
            )
        pairs.append(EncodedRequest(ids[context], answer))
    return pairs


def truncate_context(
    pairs: Sequence[EncodedRequest], requests: Sequence[Request], room: int, least: int = 0
) -> list[EncodedRequest]:
    """The pairs, with contexts truncated at their beginning so that none has more than `room` tokens.

    Raises DataError where `least` tokens of context and the whole answer do not fit.
    """
    found = []
    for pair, request in zip(pairs, requests, strict=True):
        spare = room - len(pair.answer)
        if spare < least:
            tokens, most = len(pair.answer), room - least
            raise request.fault(
                f"an answer of {counted(tokens, 'tokens')}, the model reads {most:,}: {request.answer[:60]}..."
            )
        cut = max(0, len(pair.context) - spare)
        found.append(EncodedRequest(pair.context[cut:], pair.answer, cut))
    return found


def strided(ids: Sequence[int], size: int, known: int, stride: int) -> list[EncodedRequest]:
    """A long text as windows of at most `size` tokens, `stride` tokens apart.

    Each token but the first `known` is predicted once, in the first window that holds it; its context is at least
    `size - stride` tokens predicted in the window before. As in transformers' documentation (Perplexity of
    fixed-length models).
    """
    windows, done = [], known
    for begin in range(0, len(ids), stride):
        end = min(begin + size, len(ids))
        if end > done:
            windows.append(EncodedRequest(list(ids[begin:done]), list(ids[done:end])))
            done = end
    return windows


def rolling(ids: Sequence[int], size: int, known: int) -> list[EncodedRequest]:
    """A long text as windows of at most `size` tokens; each token but the first `known` is predicted once.

    A window's context is its first `known` tokens, which the window before has predicted; the last window is full,
    with as long a context as that takes. As in lm-eval 0.4 (utils.get_rolling_token_windows, with a context length
    of 1, then make_disjoint_window).
    """
    windows = []
    for begin in range(known, len(ids), size - known):
        end = min(begin + size - known, len(ids))
        windows.append(EncodedRequest(list(ids[max(0, end - size) : begin]), list(ids[begin:end])))
    return windows


def sum_scores(tokens: Tokens, pairs: Sequence[EncodedRequest]) -> Iterator[tuple[int, Scored]]:
    """The scores of each request, with its number, as soon as all tokens of its answer are scored.

    tokens: those of all requests, in any order.
    """
    sums, greedy, left = [0.0] * len(pairs), [True] * len(pairs), [len(pair.answer) for pair in pairs]
    yield from ((number, Scored(0.0, 0, True)) for number, tokens_left in enumerate(left) if not tokens_left)
    for number, logprob, first in tokens:
        sums[number] += logprob
        greedy[number] &= first
        left[number] -= 1
        if not left[number]:
            pair = pairs[number]
            yield number, Scored(sums[number], len(pair.answer), greedy[number], pair.cut)


def in_order(scored: Iterable[tuple[int, Scored]]) -> list[Scored]:
    """The scores by the number of the request. scored: each request once, in any order."""
    return [found for _, found in sorted(scored)]


def _end(text: str) -> str:
    return text if len(text) <= 60 else f"...{text[-60:]}"
