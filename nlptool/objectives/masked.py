"""Masked language models, optionally with a task on pairs of segments: BERT's and ALBERT's pretraining."""

# B batch, T tokens, K slots for masked positions, D width, V vocabulary

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data import masking, row_view
from nlptool.data.batches import Batch, Examples
from nlptool.data.pretraining_examples import PackedBatch, PackedRows, Pairs, SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.formatting import counted, percent
from nlptool.models import heads
from nlptool.models.base import Encoder
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.kernels.cross_entropy import IGNORED, linear_scores
from nlptool.objectives.base import Objective, inputs_of
from nlptool.objectives.config import MaskingConfig
from nlptool.text.store import Split

ALONE = 0.1  # share of pairs in one-sentence documents from which on a note is shown
TERMS: dict[Pairs, str] = {"next": "nsp", "order": "sop"}
REPORTED = {
    "nsp": ("next_sentence", ("yes, the second segment follows", "no, the second segment is a random one")),
    "sop": ("sentence_order", ("as in the text", "swapped")),
}
"""Name of the question about a pair in reports, and its answers 0 and 1."""


class MaskedLM(Objective):
    """Predict the masked tokens; for pairs of segments, also whether B follows A, or which comes first.

    The last layer and the head are computed at the masked positions only. Both terms have weight 1, as in BERT
    and ALBERT.
    """

    def __init__(
        self,
        config: MaskingConfig,
        vocabulary: Vocabulary,
        backbone: Encoder,
        mlm: heads.MaskedLM,
        pairs: Pairs | None = None,
        pooler: heads.Pooler | None = None,
        pair: heads.SegmentPairHead | None = None,
    ) -> None:
        """pairs None: packed rows. pooler and pair are given if `pairs` has a label."""
        super().__init__()
        self.config, self.vocabulary, self.pairs = config, vocabulary, pairs
        self.scheme = masking.MaskingScheme(
            config.mask_rate, config.whole_word, config.ngram, config.mask_split
        )
        self.backbone: Encoder = backbone
        self.mlm = mlm
        self.term = TERMS.get(pairs) if pairs is not None else None
        self.weights = {"mlm": 1.0} | ({} if self.term is None else {self.term: 1.0})
        self.architecture = "ForMaskedLM" if self.term is None else "ForPreTraining"
        if pooler is not None and pair is not None:
            self.pooler, self.pair = pooler, pair

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Packed rows, or pairs of segments."""
        special = self.vocabulary.ids("cls", "sep", "mask", "pad")
        cls, sep = special["cls"], special["sep"]
        if self.pairs is None:
            return PackedRows(split, length, seed, first=cls, between=sep, last=sep)
        return SegmentPairs(split, length, seed, self.pairs, cls=cls, sep=sep, pad=special["pad"])

    def segment_types(self, examples: Examples) -> int:
        """Two for pairs."""
        return 1 if self.pairs is None else 2

    def left_out(self, examples: Examples) -> list[str]:
        """Notes on documents without pairs or next sentence, and on tokens without word boundaries."""
        remarks = []
        if self.config.whole_word and not self.vocabulary.knows_word_boundaries:
            remarks.append(
                "objective.whole_word: the tokenizer's tokens do not show word boundaries, so single tokens are masked"
            )
        if not isinstance(examples, SegmentPairs):
            return remarks
        if number := examples.documents_without_pair():
            share = number / len(examples.split)
            remarks.append(
                f"{counted(number, 'documents')} ({share:.2g}) of one sentence, so without a pair: passed over"
            )
        if (alone := examples.share_alone()) > ALONE:
            remarks.append(
                f"{percent((1 + alone) / 2, 0)} of the pairs have a random second segment, since documents of one "
                "sentence have no next one: an nsp accuracy of as much means nothing; join lines to documents, or do "
                "without nsp"
            )
        return remarks

    def collate(self, examples: PackedBatch, draws: RandomStreams) -> Batch:
        """Mask the rows: ids [B, T], at and labels [B, K].

        For pairs also types [B, T] and lengths [B], and order [B] if they have a label; then at is [B, 1 + K], with
        position 0 first.
        """
        masked = masking.mask(examples.ids, examples.lengths, self.scheme, self.vocabulary, draws)
        labels = np.where(masked.used, masked.originals, IGNORED)
        arrays = {"ids": masked.ids, "at": masked.at, "labels": labels}
        counts = {"mlm": int(masked.used.sum())}
        if examples.lengths is not None and examples.types is not None:
            arrays |= {"types": examples.types, "lengths": examples.lengths}
        if self.term is not None and examples.labels is not None:
            arrays["at"] = np.pad(masked.at, ((0, 0), (1, 0)))
            arrays["order"] = examples.labels
            counts[self.term] = len(examples)
        return Batch(
            {name: torch.from_numpy(array) for name, array in arrays.items()}, counts, self.tokens(examples)
        )

    def row_views(self, batch: Batch) -> list[RowView]:
        """The masked tokens, and the label of the pair."""
        views, first = row_view.of_batch(batch), int(self.term is not None)
        at_BK = batch["at"][:, first : first + batch["labels"].shape[1]]
        row_view.mark_masked(views, at_BK, batch["labels"], self.vocabulary.special["mask"])
        if self.term is not None:
            name, answers = REPORTED[self.term]
            for view, order in zip(views, batch["order"].tolist(), strict=True):
                view.facts[name] = answers[order]
        return views

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the cross-entropies."""
        return self.terms(*self._hidden(batch), batch)

    def terms(self, masked_BKD: Tensor, first_BD: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The same from hidden states of the masked positions and of [CLS]."""
        terms = {"mlm": self.mlm.loss(masked_BKD, self.backbone.word_embeddings, batch["labels"])}
        if self.term is not None:
            logits_B2 = self.pair(self.pooler(first_BD))
            terms[self.term] = F.cross_entropy(logits_B2, batch["order"], reduction="sum")
        return terms

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, and the number of correct predictions of each."""
        return self.measured(*self._hidden(batch), batch)

    def measured(self, masked_BKD: Tensor, first_BD: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The same from hidden states of the masked positions and of [CLS]."""
        x_BKE = self.mlm.transform(masked_BKD)
        loss_BK, correct_BK = linear_scores(
            x_BKE, self.backbone.word_embeddings, self.mlm.bias, batch["labels"]
        )
        sums = {"mlm": loss_BK.sum(), "mlm_correct": correct_BK.sum()}
        if self.term is not None:
            logits_B2 = self.pair(self.pooler(first_BD))
            sums[self.term] = F.cross_entropy(logits_B2, batch["order"], reduction="sum")
            sums[f"{self.term}_correct"] = (logits_B2.argmax(-1) == batch["order"]).sum()
            sums[f"{self.term}_ones"] = batch["order"].sum()
        return sums

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Means and accuracies; for pairs also that of the best constant answer, TERM_majority."""
        figures = super().summary(totals, counts)
        if self.term is not None and f"{self.term}_ones" in totals:
            share = totals[f"{self.term}_ones"].item() / max(counts[self.term], 1)
            figures[f"{self.term}_majority"] = max(share, 1 - share)
        return figures

    def _hidden(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Last hidden states of the masked positions, [B, K, D], and of [CLS] for labelled pairs, [B, 1, D]."""
        hidden_BKD = self.backbone(inputs_of(batch, batch["at"]))
        first = int(self.term is not None)
        return hidden_BKD[:, first:], hidden_BKD[:, :first]


def build(config: MaskingConfig, model: ModelConfig, vocabulary: Vocabulary, pairs: Pairs | None) -> MaskedLM:
    """An encoder with its heads, from the config `model`."""
    assert isinstance(model, EncoderConfig)  # `check` has made sure
    encoder = model.build(vocabulary.rows)
    mlm = heads.MaskedLM.of(model, vocabulary.rows)
    if pairs not in TERMS:
        return MaskedLM(config, vocabulary, encoder, mlm, pairs)
    pair_heads = heads.Pooler(model.hidden, model.init), heads.SegmentPairHead(model.hidden, model.init)
    return MaskedLM(config, vocabulary, encoder, mlm, pairs, *pair_heads)
