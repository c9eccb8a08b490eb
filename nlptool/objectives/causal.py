"""The causal language model of GPT-2 (Radford et al. 2019, section 2)."""

# B batch, T tokens, D width, V vocabulary

import math

import torch
from torch import Tensor

from nlptool.data import row_view
from nlptool.data.batches import Batch, Examples
from nlptool.data.pretraining_examples import PackedBatch, PackedRows
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import ONLY, Mark, RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError
from nlptool.models.base import Decoder
from nlptool.models.config import ModelConfig
from nlptool.models.kernels.cross_entropy import linear_cross_entropy, linear_scores
from nlptool.objectives.base import ExportSpec, Objective, inputs_of
from nlptool.text.store import Split


class CausalLM(Objective):
    """Predict each token from those before it, with tied embeddings; logits of all tokens never exist at once."""

    architecture = "ForCausalLM"

    def __init__(self, vocabulary: Vocabulary, backbone: Decoder) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.weights = {"clm": 1.0}
        self.backbone: Decoder = backbone

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Packed rows of length + 1 tokens; each begins with the last token of the row before."""
        special = self.vocabulary.special
        between = special.get("eos", special.get("sep"))
        if between is None:
            raise DataError(
                "the tokenizer has no token that ends a text (eos_token, or sep_token)",
                hint="name it in the tokenizer_config.json of the tokenizer, and make the token store again",
            )
        return PackedRows(split, length + 1, seed, between=between, overlap=1)

    def tokens(self, examples: PackedBatch) -> int:
        """All tokens of each row but the last one, which is only a label."""
        return examples.tokens - len(examples)

    def collate(self, examples: PackedBatch, draws: RandomStreams) -> Batch:
        """ids and labels [B, T], shifted by one token; for byte-level tokens also bytes [B] of the labels."""
        ids, labels = examples.ids[:, :-1], examples.ids[:, 1:]
        arrays = {"ids": ids, "labels": labels}
        if self.vocabulary.bytes is not None:
            arrays["bytes"] = self.vocabulary.bytes[labels].sum(1)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return Batch(tensors, {"clm": labels.size}, self.tokens(examples))

    def row_views(self, batch: Batch) -> list[RowView]:
        """Each token is predicted from those before it; the last label is not an input."""
        views = row_view.of_batch(batch)
        for view, last in zip(views, batch["labels"][:, -1].tolist(), strict=True):
            view.facts["to_predict"] = len(view.ids)
            view.marks[len(view.ids)] = Mark(ONLY)
            view.ids.append(last)
        return views

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sum of the cross-entropies."""
        loss = linear_cross_entropy(
            self.backbone(inputs_of(batch)), self.backbone.word_embeddings, None, batch["labels"]
        )
        return {"clm": loss}

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The term, the number of correct predictions, and the bytes of the predicted text."""
        loss_BT, correct_BT = linear_scores(
            self.backbone(inputs_of(batch)), self.backbone.word_embeddings, None, batch["labels"]
        )
        sums = {"clm": loss_BT.sum(), "clm_correct": correct_BT.sum()}
        return sums | ({"clm_bytes": batch["bytes"].sum()} if "bytes" in batch else {})

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Loss, accuracy, perplexity per token, and for byte-level tokens bits per byte of text.

        Bits per byte are comparable across tokenizers, as in GPT-2's paper (section 3.1): the cost of predicting all
        tokens, ends of texts included, divided by the bytes of the text alone.
        """
        figures = super().summary(totals, counts)
        figures["perplexity"] = torch.tensor(figures["clm"]).exp().item()
        if totals.get("clm_bytes"):
            figures["bits_per_byte"] = totals["clm"].item() / math.log(2) / totals["clm_bytes"].item()
        return figures

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """One folder; the tokenizer adds no special tokens, since texts are continued."""
        return {"": ExportSpec(model, self.state_dict(), self.architecture, template=False)}


def build(model: ModelConfig, vocabulary: Vocabulary) -> CausalLM:
    """A decoder, as `model` says."""
    decoder = model.build(vocabulary.rows)
    assert isinstance(decoder, Decoder)  # `check` has made sure
    return CausalLM(vocabulary, decoder)
