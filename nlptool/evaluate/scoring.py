"""How likely a model finds a text: one number a text, in nats, whatever kind of model it is.

A masked LM gives the pseudo-log-likelihood: each token is masked in turn, and the log-probabilities of the right ones
are added (Salazar et al. 2020, section 2.2). A causal LM gives the log-likelihood.
ELECTRA's discriminator gives how original it finds all tokens.
"""

# B rows, T tokens, V vocabulary

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from nlptool import registry
from nlptool.errors import DataError
from nlptool.models import heads, huggingface
from nlptool.models.config import EncoderConfig
from nlptool.models.loss import IGNORED, linear_scores
from nlptool.recipe import Block
from nlptool.text.tokenizer import Tokenizer

T = TypeVar("T")

BATCH = 16384  # tokens at once, padding included


class Scorer(Protocol):
    """A model that scores texts."""

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Log-likelihood of each text, or what stands for it, in nats."""
        ...


def scorer(config: Block, state: Mapping[str, Tensor], tokenizer: Tokenizer) -> Scorer:
    """The scorer for a model in nlptool's names. Raises DataError when it has no head that can score."""
    parts = {key.partition(".")[0] for key in state}
    if isinstance(config, EncoderConfig) and "mlm" in parts:
        return MaskedScorer(config, state, tokenizer)
    if isinstance(config, EncoderConfig) and "rtd" in parts:
        return DiscriminatorScorer(config, state, tokenizer)
    if not isinstance(config, EncoderConfig):
        return CausalScorer(config, state, tokenizer)
    raise DataError(f"a model with the parts {', '.join(sorted(parts))} cannot score a text")


class MaskedScorer:
    """Pseudo-log-likelihood by an encoder and its masked-LM head."""

    def __init__(self, config: EncoderConfig, state: Mapping[str, Tensor], tokenizer: Tokenizer) -> None:
        self.tokenizer, self.positions = tokenizer, config.positions
        family = registry.load("models", str(config.model_dump()["name"]), "net")
        vocab_size = state["backbone.embeddings.tokens.weight"].shape[0]
        self.net = family.Net(config, vocab_size)
        self.head = heads.MaskedLM.of(config, vocab_size)
        module = nn.ModuleDict({"backbone": self.net, "mlm": self.head}).eval()
        huggingface.load(module, state)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Each token masked in turn; the sum of the log-probabilities of the right ones."""
        return self.of_rows(framed(texts, self.tokenizer, self.positions))

    def windows(self, ids: Sequence[int]) -> list[list[int]]:
        """A long text as rows [CLS] ... [SEP] that the model can read, none with a token of another."""
        cls, sep, room = self.tokenizer.special["cls"], self.tokenizer.special["sep"], self.positions - 2
        return [[cls, *ids[at : at + room], sep] for at in range(0, len(ids), room)]

    @torch.inference_mode()
    def of_rows(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """The same of rows of ids, of which the first and the last count nothing."""
        special = self.tokenizer.special
        queries = [(number, at) for number, row in enumerate(rows) for at in range(1, len(row) - 1)]
        totals = torch.zeros(len(rows), dtype=torch.float64)
        for chosen in _batches(queries, [len(rows[number]) for number, _ in queries]):
            ids_BT, lengths_B = padded([rows[number] for number, _ in chosen], special["pad"])
            at_B1 = torch.tensor([[at] for _, at in chosen])
            labels_B1 = ids_BT.gather(1, at_B1)
            ids_BT.scatter_(1, at_B1, special["mask"])
            hidden_B1D = self.head.transform(self.net(ids_BT, None, lengths_B, at_B1))
            loss_B1, _ = linear_scores(hidden_B1D, self.net.word_embeddings, self.head.bias, labels_B1)
            totals.index_add_(0, torch.tensor([number for number, _ in chosen]), -loss_B1[:, 0].double())
        return totals.tolist()


class DiscriminatorScorer:
    """How original ELECTRA's discriminator finds a text: the log-probabilities that each token is, added.

    One pass over the text as it is. Not a likelihood; it ranks texts as one does.
    """

    def __init__(self, config: EncoderConfig, state: Mapping[str, Tensor], tokenizer: Tokenizer) -> None:
        self.tokenizer, self.positions = tokenizer, config.positions
        family = registry.load("models", str(config.model_dump()["name"]), "net")
        self.net = family.Net(config, state["backbone.embeddings.tokens.weight"].shape[0])
        self.head = heads.ReplacedToken(config.hidden)
        huggingface.load(nn.ModuleDict({"backbone": self.net, "rtd": self.head}).eval(), state)

    @torch.inference_mode()
    def scores(self, texts: Sequence[str]) -> list[float]:
        """The sum over a text's tokens of log P(original)."""
        rows = framed(texts, self.tokenizer, self.positions)
        totals = torch.zeros(len(rows), dtype=torch.float64)
        for chosen in _batches(range(len(rows)), [len(row) for row in rows]):
            ids_BT, lengths_B = padded([rows[number] for number in chosen], self.tokenizer.special["pad"])
            logits_BT = self.head(self.net(ids_BT, None, lengths_B)).double()
            at_T = torch.arange(ids_BT.shape[1])
            real_BT = (at_T > 0) & (at_T < lengths_B[:, None] - 1)  # [CLS] and [SEP] are never replaced
            totals[chosen] = torch.where(real_BT, logsigmoid(-logits_BT), 0).sum(1)
        return totals.tolist()


class CausalScorer:
    """Log-likelihood by a decoder, each text the beginning of a document."""

    def __init__(self, config: Block, state: Mapping[str, Tensor], tokenizer: Tokenizer) -> None:
        self.tokenizer, self.positions = tokenizer, int(config.model_dump()["positions"])
        self.start = tokenizer.special.get("eos", tokenizer.special.get("sep", 0))
        family = registry.load("models", str(config.model_dump()["name"]), "net")
        self.net = family.Net(config, state["backbone.embeddings.tokens.weight"].shape[0])
        huggingface.load(nn.ModuleDict({"backbone": self.net}).eval(), state)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """The sum of the log-probabilities of a text's tokens, each given those before it."""
        rows = [[self.start, *ids] for ids in self.tokenizer.encode_batch(texts)]
        _refuse_long(rows, texts, self.positions)
        return self.of_rows(rows)

    def windows(self, ids: Sequence[int]) -> list[list[int]]:
        """A long text as rows that the model can read, each beginning with the last token of the one before."""
        whole = [self.start, *ids]
        return [whole[at : at + self.positions + 1] for at in range(0, len(ids), self.positions)]

    @torch.inference_mode()
    def of_rows(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """The same of rows of ids, of which the first counts nothing."""
        totals = torch.zeros(len(rows), dtype=torch.float64)
        for chosen in _batches(range(len(rows)), [len(row) for row in rows]):
            ids_BT, lengths_B = padded([rows[number] for number in chosen], 0)
            real_BT = torch.arange(1, ids_BT.shape[1]) < lengths_B[:, None]
            labels_BT = torch.where(real_BT, ids_BT[:, 1:], IGNORED)
            hidden_BTD = self.net(ids_BT[:, :-1])
            loss_BT, _ = linear_scores(hidden_BTD, self.net.word_embeddings, None, labels_BT)
            totals[chosen] = -loss_BT.double().sum(1)
        return totals.tolist()


def framed(texts: Sequence[str], tokenizer: Tokenizer, positions: int) -> list[list[int]]:
    """[CLS] text [SEP] of each text. Raises DataError for one that is longer than the model reads."""
    cls, sep = tokenizer.special["cls"], tokenizer.special["sep"]
    rows = [[cls, *ids, sep] for ids in tokenizer.encode_batch(texts)]
    _refuse_long(rows, texts, positions)
    return rows


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Ids [B, T] and lengths [B] of rows of several lengths."""
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    return ids, torch.tensor(lengths)


def _refuse_long(rows: Sequence[Sequence[int]], texts: Sequence[str], positions: int) -> None:
    for row, text in zip(rows, texts, strict=True):
        if len(row) > positions:
            raise DataError(f"a text of {len(row)} tokens, and the model reads {positions}: {text[:60]}...")


def _batches(items: Sequence[T], lengths: Sequence[int]) -> Iterator[list[T]]:
    """Items of like length together, at most BATCH tokens at once, the longest first: what is too much fails early."""
    order = sorted(range(len(items)), key=lambda i: -lengths[i])
    begin = 0
    while begin < len(order):
        rows = max(1, BATCH // lengths[order[begin]])
        yield [items[i] for i in order[begin : begin + rows]]
        begin += rows
