"""How likely a model finds a text: one number a text, in nats, whatever kind of model it is.

A masked LM gives the pseudo-log-likelihood: each token is masked in turn, and the log-probabilities of the right ones
are added (Salazar et al. 2020, section 2.2).
"""

# B rows, T tokens, V vocabulary

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import registry
from nlptool.errors import DataError
from nlptool.models import heads, huggingface
from nlptool.models.config import EncoderConfig
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

    @torch.inference_mode()
    def scores(self, texts: Sequence[str]) -> list[float]:
        """Each token masked in turn; the sum of the log-probabilities of the right ones."""
        special = self.tokenizer.special
        rows = framed(texts, self.tokenizer, self.positions)
        queries = [(number, at) for number, row in enumerate(rows) for at in range(1, len(row) - 1)]
        totals = torch.zeros(len(rows), dtype=torch.float64)
        for chosen in _batches(queries, [len(rows[number]) for number, _ in queries]):
            ids_BT, lengths_B = padded([rows[number] for number, _ in chosen], special["pad"])
            at_B1 = torch.tensor([[at] for _, at in chosen])
            labels_B1 = ids_BT.gather(1, at_B1)
            ids_BT.scatter_(1, at_B1, special["mask"])
            hidden_B1D = self.net(ids_BT, None, lengths_B, at_B1)
            logits_BV = self.head(hidden_B1D[:, 0], self.net.word_embeddings)
            found_B = -F.cross_entropy(logits_BV, labels_B1[:, 0], reduction="none")
            totals.index_add_(0, torch.tensor([number for number, _ in chosen]), found_B.double())
        return totals.tolist()


def framed(texts: Sequence[str], tokenizer: Tokenizer, positions: int) -> list[list[int]]:
    """[CLS] text [SEP] of each text. Raises DataError for one that is longer than the model reads."""
    cls, sep = tokenizer.special["cls"], tokenizer.special["sep"]
    rows = [[cls, *ids, sep] for ids in tokenizer.encode_batch(texts)]
    for row, text in zip(rows, texts, strict=True):
        if len(row) > positions:
            raise DataError(f"a text of {len(row)} tokens, and the model reads {positions}: {text[:60]}...")
    return rows


def padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Ids [B, T] and lengths [B] of rows of several lengths."""
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    return ids, torch.tensor(lengths)


def _batches(items: Sequence[T], lengths: Sequence[int]) -> Iterator[list[T]]:
    """Items of like length together, at most BATCH tokens at once, the longest first: what is too much fails early."""
    order = sorted(range(len(items)), key=lambda i: -lengths[i])
    begin = 0
    while begin < len(order):
        rows = max(1, BATCH // lengths[order[begin]])
        yield [items[i] for i in order[begin : begin + rows]]
        begin += rows
