"""BERT's masked language model (Devlin et al. 2019, section 3.1)."""

# B batch, T tokens, K slots for masked positions, D width, V vocabulary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import registry
from nlptool.data import masking
from nlptool.data.batches import Batch, Examples
from nlptool.data.draws import Draws
from nlptool.data.examples import PackedRows, Rows, SegmentPairs
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.loss import IGNORED
from nlptool.objectives.base import Objective
from nlptool.objectives.mlm.config import Config
from nlptool.recipe import Block
from nlptool.text.store import Split


class MaskedLM(Objective):
    """Guess the masked tokens; with `next_sentence`, also whether segment B follows segment A.

    The last layer and the head are computed at the masked positions only. Both terms have weight 1, as in
    BERT.
    """

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        backbone: nn.Module,
        mlm: heads.MaskedLM,
        pooler: heads.Pooler | None = None,
        nsp: heads.PairOrder | None = None,
    ) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.scheme = masking.Scheme(config.mask_rate, config.whole_word, config.ngram, config.corrupt)
        self.weights = {"mlm": 1.0, "nsp": 1.0} if config.next_sentence else {"mlm": 1.0}
        self.backbone, self.mlm = backbone, mlm
        if pooler is not None and nsp is not None:
            self.pooler, self.nsp = pooler, nsp

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Packed rows, or pairs of segments."""
        special = self.vocabulary.special
        cls, sep = special["cls"], special["sep"]
        if self.config.next_sentence:
            return SegmentPairs(split, length, seed, cls=cls, sep=sep, pad=special["pad"])
        return PackedRows(split, length, seed, first=cls, between=sep, last=sep)

    def collate(self, examples: Rows, draws: Draws) -> Batch:
        """Mask the rows: ids [B, T], at and labels [B, K].

        Of pairs also types [B, T], lengths and order [B]; at is then [B, 1 + K], position 0 in front.
        """
        masked = masking.mask(examples.ids, examples.lengths, self.scheme, self.vocabulary, draws)
        labels = np.where(masked.used, masked.originals, IGNORED)
        arrays = {"ids": masked.ids, "at": masked.at, "labels": labels}
        counts = {"mlm": int(masked.used.sum())}
        tokens = examples.ids.size
        if examples.lengths is not None and examples.types is not None and examples.labels is not None:
            arrays["at"] = np.pad(masked.at, ((0, 0), (1, 0)))
            arrays |= {"types": examples.types, "lengths": examples.lengths, "order": examples.labels}
            counts["nsp"] = len(examples)
            tokens = int(examples.lengths.sum())
        return Batch({name: torch.from_numpy(array) for name, array in arrays.items()}, counts, tokens)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the cross-entropies."""
        masked_BKD, first_BD = self._hidden(batch)
        terms = {"mlm": self.mlm.loss(masked_BKD, self._embeddings, batch["labels"])}
        if first_BD is not None:
            logits_B2 = self.nsp(self.pooler(first_BD))
            terms["nsp"] = F.cross_entropy(logits_B2, batch["order"], reduction="sum")
        return terms

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, and how many of each are guessed right."""
        masked_BKD, first_BD = self._hidden(batch)
        logits_BKV = self.mlm(masked_BKD, self._embeddings)
        sums = _score("mlm", logits_BKV.flatten(0, 1), batch["labels"].flatten())
        if first_BD is not None:
            sums |= _score("nsp", self.nsp(self.pooler(first_BD)), batch["order"])
        return sums

    def _hidden(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Last hidden states of the masked positions, [B, K, D], and with pairs of [CLS], [B, 1, D]."""
        types_BT, lengths_B = batch.tensors.get("types"), batch.tensors.get("lengths")
        hidden_BKD = self.backbone(batch["ids"], types_BT, lengths_B, batch["at"])
        if "nsp" not in self.weights:
            return hidden_BKD, None
        return hidden_BKD[:, 1:], hidden_BKD[:, :1]

    @property
    def _embeddings(self) -> Tensor:
        embeddings = self.backbone.word_embeddings
        assert isinstance(embeddings, Tensor)
        return embeddings


def _score(term: str, logits_NC: Tensor, labels_N: Tensor) -> dict[str, Tensor]:
    loss = F.cross_entropy(logits_NC, labels_N, ignore_index=IGNORED, reduction="sum")
    return {term: loss, f"{term}_correct": (logits_NC.argmax(-1) == labels_N).sum()}


def build(config: Config, model: Block, vocabulary: Vocabulary) -> MaskedLM:
    """An encoder with its heads, as `model` and `config` say."""
    family = registry.load("models", model.model_dump()["name"], "net")
    net = family.Net(model, vocabulary.size)
    mlm = heads.MaskedLM.of(net.config, vocabulary.size)
    if not config.next_sentence:
        return MaskedLM(config, vocabulary, net, mlm)
    width, init = net.config.hidden, net.config.init
    return MaskedLM(config, vocabulary, net, mlm, heads.Pooler(width, init), heads.PairOrder(width, init))
