"""Scores of texts, and of answers after a context, by any kind of model, in nats.

A masked LM gives the pseudo-log-likelihood: each token is masked in turn, and the log-probabilities of the right
ones are added (Salazar et al. 2020, section 2.2), optionally with the rest of its word masked, too (Kauf and Ivanova
2023). A causal LM gives the log-likelihood, ELECTRA's discriminator the log-probabilities of "original". Only an
answer's own tokens are scored; an encoder reads them with their context, a decoder the tokens before.
"""

# B rows, T tokens, V vocabulary

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from nlptool.errors import DataError
from nlptool.evaluation.generation.prefix_tree import score_tokens
from nlptool.evaluation.requests import (
    EncodedRequest,
    Request,
    Scored,
    Tokens,
    encoded,
    in_order,
    rolling,
    strided,
    sum_scores,
    truncate_context,
)
from nlptool.malloc import give_back_free_memory
from nlptool.models import heads
from nlptool.models.base import Inputs
from nlptool.models.huggingface import Pretrained
from nlptool.models.kernels.cpu import CPU
from nlptool.models.kernels.cross_entropy import linear_scores
from nlptool.models.open_pretrained import open_decoder, open_encoder
from nlptool.text.tokenizer import Tokenizer

BATCH = 16384  # tokens at once, padding included
PllMetric = Literal["original", "within_word_l2r"]
FRAME = ("cls", "sep")  # special tokens around an encoder's input


class Scorer(Protocol):
    """A model that scores texts, and answers given their contexts."""

    kind: str
    """Kind of its scores."""

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Log-likelihood of each text, or a substitute for it, in nats. Raises DataError for too long a text."""
        ...

    def answered(self, requests: Sequence[Request]) -> Iterator[tuple[int, Scored]]:
        """Scores of each answer, with the request's number, in any order, as soon as they are known.

        Raises DataError for an answer without tokens, or one that alone is too long.
        """
        ...


def scorer(
    pretrained: Pretrained,
    tokenizer: Tokenizer,
    device: torch.device = CPU,
    pll: PllMetric = "original",
    batch_size: int | None = None,
) -> Scorer:
    """The scorer for a model. pll: how a masked LM scores. Raises DataError for a model without a suitable head.

    batch_size: rows that an encoder reads at once; None: as many as have BATCH tokens. A decoder reads a prefix
    tree.
    """
    if pretrained.config.kind == "decoder":
        return CausalScorer(pretrained, tokenizer, device)
    if "mlm" in pretrained.heads:
        return MaskedScorer(pretrained, tokenizer, device, pll, batch_size)
    if "rtd" in pretrained.heads:
        return DiscriminatorScorer(pretrained, tokenizer, device, batch_size)
    parts = sorted({"backbone", *pretrained.heads})
    raise DataError(f"has no head that can score a text, only {', '.join(parts)}")


class MaskedScorer:
    """Pseudo-log-likelihood by an encoder with its masked-LM head.

    pll: `within_word_l2r` also masks the later tokens of the same word, so that they do not reveal it (Kauf and
    Ivanova 2023); named as in minicons.
    """

    kind = "pseudo-likelihood"

    def __init__(
        self,
        pretrained: Pretrained,
        tokenizer: Tokenizer,
        device: torch.device = CPU,
        pll: PllMetric = "original",
        batch_size: int | None = None,
    ) -> None:
        config = pretrained.encoder_config
        self.tokenizer, self.positions, self.device = tokenizer, config.max_positions, device
        self.batch_size = batch_size
        self.special = tokenizer.ids_of("cls", "sep", "mask")
        self.head = heads.MaskedLM.of(config, pretrained.vocab_size)
        self.model = open_encoder(pretrained, {"mlm": self.head}, device)
        self._classes = tokenizer.word_boundaries() if pll == "within_word_l2r" else None

    def scores(self, texts: Sequence[str]) -> list[float]:
        """The sum of the log-probabilities of all tokens, each masked in turn."""
        return _sums(self._tokens, whole(texts, self.tokenizer, self.positions, len(FRAME)))

    def answered(self, requests: Sequence[Request]) -> Iterator[tuple[int, Scored]]:
        """The same for the answers' tokens, each with all others visible; longest first."""
        pairs = framed_pairs(requests, self.tokenizer, self.positions)
        return sum_scores(self._tokens(pairs), pairs)

    def windows(self, ids: Sequence[int], stride: int | None = None) -> list[EncodedRequest]:
        """A long text as windows that the model can read between [CLS] and [SEP]."""
        size = self.positions - len(FRAME)
        return rolling(ids, size, 0) if stride is None else strided(ids, size, 0, stride)

    def of_windows(self, windows: Sequence[EncodedRequest]) -> list[float]:
        """The score of each window's predicted tokens."""
        return _sums(self._tokens, windows)

    @torch.inference_mode()
    def _tokens(self, pairs: Sequence[EncodedRequest]) -> Tokens:
        lengths = np.array([framed_length(pair) for pair in pairs], np.int32)
        answer_lengths = np.array([len(pair.answer) for pair in pairs], np.int32)
        number_Q = np.repeat(np.arange(len(pairs), dtype=np.int32), answer_lengths)
        first = lengths - 1 - answer_lengths  # where each answer begins in its row
        at_Q = np.arange(len(number_Q)) - np.repeat(
            answer_lengths.cumsum() - answer_lengths - first, answer_lengths
        )
        left_Q = np.concatenate([np.empty(0, np.int64), *(self._left_of_word(pair.answer) for pair in pairs)])
        for chosen in _batches(lengths[number_Q], self.batch_size):
            numbers = number_Q[chosen].tolist()
            rows = [framed(pairs[number], self.special) for number in numbers]
            ids_BT, lengths_B = padded(rows, self.special["sep"], self.device)
            at_B1 = torch.from_numpy(at_Q[chosen])[:, None].to(self.device)
            labels_B1 = ids_BT.gather(1, at_B1)
            last_B1 = at_B1 + torch.from_numpy(left_Q[chosen])[:, None].to(self.device)
            place_T = torch.arange(ids_BT.shape[1], device=self.device)
            ids_BT = ids_BT.where((place_T < at_B1) | (place_T > last_B1), self.special["mask"])
            hidden_B1D = self.head.transform(
                self.model(Inputs(ids=ids_BT, lengths=lengths_B, output_positions=at_B1))
            )
            loss_B1, first_B1 = linear_scores(
                hidden_B1D, self.model.word_embeddings, self.head.bias, labels_B1
            )
            yield from zip(numbers, (-loss_B1[:, 0]).tolist(), first_B1[:, 0].tolist(), strict=True)

    def _left_of_word(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Number of later tokens of the same word, which are masked with each token, [ids]; zeros: none are."""
        numbers = np.asarray(ids, np.int64)
        if self._classes is None or not len(numbers):
            return np.zeros(len(numbers), np.int64)
        first, last = self._classes
        ends_T = np.append(first[numbers[1:]] != last[numbers[:-1]], True)
        end_T = np.flatnonzero(ends_T)
        place_T = np.arange(len(numbers))
        return np.asarray(end_T[np.searchsorted(end_T, place_T)] - place_T, np.int64)


class DiscriminatorScorer:
    """The sum of the log-probabilities of "original" by ELECTRA's discriminator.

    Takes one pass over the unmasked text. It is not a likelihood, but ranks texts like one. A token counts as its
    first choice if it is more likely original than replaced.
    """

    kind = "originality"

    def __init__(
        self,
        pretrained: Pretrained,
        tokenizer: Tokenizer,
        device: torch.device = CPU,
        batch_size: int | None = None,
    ) -> None:
        config = pretrained.encoder_config
        self.tokenizer, self.positions, self.device = tokenizer, config.max_positions, device
        self.batch_size = batch_size
        self.special = tokenizer.ids_of("cls", "sep")
        self.head = heads.ReplacedTokenHead(config.hidden)
        self.model = open_encoder(pretrained, {"rtd": self.head}, device)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """The sum over a text's tokens of log P(original)."""
        return _sums(self._tokens, whole(texts, self.tokenizer, self.positions, len(FRAME)))

    def answered(self, requests: Sequence[Request]) -> Iterator[tuple[int, Scored]]:
        """The same over the answers' tokens, after their contexts; longest first."""
        pairs = framed_pairs(requests, self.tokenizer, self.positions)
        return sum_scores(self._tokens(pairs), pairs)

    @torch.inference_mode()
    def _tokens(self, pairs: Sequence[EncodedRequest]) -> Tokens:
        lengths = np.array([framed_length(pair) for pair in pairs], np.int32)
        for chosen in _batches(lengths, self.batch_size):
            numbers = chosen.tolist()
            rows = [framed(pairs[number], self.special) for number in numbers]
            ids_BT, lengths_B = padded(rows, self.special["sep"], self.device)
            logits_BT = self.head(self.model(Inputs(ids=ids_BT, lengths=lengths_B))).double().cpu()
            for number, row, logits_T in zip(numbers, rows, logits_BT, strict=True):
                answer_logits_T = logits_T[1 + len(pairs[number].context) : len(row) - 1]
                found = logsigmoid(-answer_logits_T).tolist(), (answer_logits_T < 0).tolist()
                yield from ((number, logprob, original) for logprob, original in zip(*found, strict=True))


class CausalScorer:
    """Log-likelihood by a decoder; a text, or an answer without a context, begins a document."""

    kind = "likelihood"

    def __init__(self, pretrained: Pretrained, tokenizer: Tokenizer, device: torch.device = CPU) -> None:
        self.tokenizer, self.positions = tokenizer, pretrained.config.max_positions
        self.model = open_decoder(pretrained, device)

    @property
    def start(self) -> int:
        """The token before a document: end of text. Raises DataError where the tokenizer has none.

        lm-eval prefers a beginning-of-text token, where there is one; GPT-2 has none.
        """
        special = self.tokenizer.special
        return special["eos"] if "eos" in special else self.tokenizer.ids_of("sep")["sep"]

    def scores(self, texts: Sequence[str]) -> list[float]:
        """The sum of the log-probabilities of a text's tokens, each given those before it."""
        pairs = whole(texts, self.tokenizer, self.positions, 1)
        return _sums(self._tokens, [EncodedRequest([self.start], pair.answer) for pair in pairs])

    def answered(self, requests: Sequence[Request]) -> Iterator[tuple[int, Scored]]:
        """The same of the answers' tokens."""
        pairs = encoded(requests, self.tokenizer)
        begun = [pair if pair.context else EncodedRequest([self.start], pair.answer) for pair in pairs]
        pairs = truncate_context(
            begun, requests, self.positions + 1, least=1
        )  # the last token is not an input
        return sum_scores(self._tokens(pairs), pairs)

    def windows(self, ids: Sequence[int], stride: int | None = None) -> list[EncodedRequest]:
        """A long text as windows that the model can read; the last token of each is predicted, not read.

        With a stride they are one token shorter, as in transformers, where the last token is an input as well.
        """
        text = [self.start, *ids]
        return (
            rolling(text, self.positions + 1, 1)
            if stride is None
            else strided(text, self.positions, 1, stride)
        )

    def of_windows(self, windows: Sequence[EncodedRequest]) -> list[float]:
        """The log-likelihood of each window's predicted tokens."""
        return _sums(self._tokens, windows)

    def _tokens(self, pairs: Sequence[EncodedRequest]) -> Tokens:
        return score_tokens(self.model, pairs)


def whole(texts: Sequence[str], tokenizer: Tokenizer, positions: int, around: int) -> list[EncodedRequest]:
    """Each text as an answer without a context, for a row with `around` special tokens.

    Raises DataError for one that exceeds the model's positions.
    """
    pairs = [EncodedRequest([], ids) for ids in tokenizer.encode_batch(texts)]
    for pair, text in zip(pairs, texts, strict=True):
        if (length := len(pair.answer) + around) > positions:
            raise DataError(
                f"a text of {length} tokens, and the model reads {positions}: {text[:60]}...",
                hint="shorten or remove it, or use a model with more positions",
            )
    return pairs


def answers(scorer: Scorer, requests: Sequence[Request]) -> list[Scored]:
    """The scores of all answers, in their order. Raises as Scorer.answered."""
    return in_order(scorer.answered(requests))


def framed_pairs(requests: Sequence[Request], tokenizer: Tokenizer, positions: int) -> list[EncodedRequest]:
    """Requests for rows of at most `positions` tokens between [CLS] and [SEP]; contexts lose their beginning."""
    return truncate_context(encoded(requests, tokenizer), requests, positions - len(FRAME))


def framed(pair: EncodedRequest, special: Mapping[str, int]) -> list[int]:
    """[CLS] context answer [SEP]."""
    return [special["cls"], *pair.context, *pair.answer, special["sep"]]


def framed_length(pair: EncodedRequest) -> int:
    """Number of tokens of `framed`."""
    return len(pair.context) + len(pair.answer) + len(FRAME)


def padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    """Padded ids [B, T] and lengths [B] of rows of different lengths."""
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=device)
    return ids, torch.tensor(lengths, device=device)


def _sums(
    tokens: Callable[[Sequence[EncodedRequest]], Tokens], pairs: Sequence[EncodedRequest]
) -> list[float]:
    return [found.logprob for found in in_order(sum_scores(tokens(pairs), pairs))]


def _batches(lengths: NDArray[np.int32], batch_size: int | None) -> Iterator[NDArray[np.int64]]:
    """Batches of rows of similar length, longest first, so that running out of memory shows early.

    batch_size: rows at once; None: as many as have BATCH tokens.

    Each batch has other shapes, so its freed memory fits no later one, and is returned to the system.
    """
    order = np.argsort(-lengths, kind="stable")
    begin = 0
    while begin < len(order):
        rows = batch_size or max(1, BATCH // int(lengths[order[begin]]))
        yield order[begin : begin + rows]
        give_back_free_memory()
        begin += rows
