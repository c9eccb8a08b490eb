"""ELECTRA: replaced-token detection (Clark et al. 2020)."""

# B batch, T tokens, K slots for masked positions, D width, E width of the embeddings, V vocabulary

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.data import masking, row_view
from nlptool.data.batches import Batch, Examples
from nlptool.data.pretraining_examples import PackedBatch, PackedRows, Segments
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import KEPT, REPLACED, Mark, RowView
from nlptool.data.vocabulary import Vocabulary
from nlptool.models import heads
from nlptool.models.config import ModelConfig
from nlptool.models.electra.config import Config as Model
from nlptool.models.encoder import TransformerEncoder
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives.base import ExportSpec, Objective, inputs_of
from nlptool.objectives.electra import histograms
from nlptool.objectives.electra.copy_gate import CopyGate
from nlptool.objectives.electra.diagnostics import diagnostics
from nlptool.objectives.electra.generator import Generator, GeneratorOutput
from nlptool.text.store import Split

if TYPE_CHECKING:
    from nlptool.objectives.electra.config import Config

SAMPLE = 8  # stream of random numbers; data/masking.py has those from 0 on
MASKED = 0.85  # probability that a slot shows [MASK] in Google's pretrain_helpers.py


class Corrupted(NamedTuple):
    """Input and labels of the discriminator."""

    shown: Tensor
    """[B, T], with the generator's samples in place of the masked tokens."""
    original: Tensor
    """[B, T]."""

    @property
    def replaced(self) -> Tensor:
        """[B, T] bool. A sample that is the original token counts as original (section 3.1)."""
        return self.shown != self.original


class Electra(Objective):
    """Generator and discriminator, trained at once.

    The loss is mlm + weight * rtd, where rtd (replaced-token detection) may be exchanged for replace_mlm or
    all_tokens. The generator reads masked rows, the discriminator, `backbone`, the same rows with samples in place
    of the masks, each with its own dropout.
    """

    def __init__(
        self, config: "Config", vocabulary: Vocabulary, backbone: TransformerEncoder, generator: Generator
    ) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.term = "rtd" if config.detects else str(config.loss)
        self.weights = {"mlm": 1.0, self.term: config.discriminator_weight}
        self.sees_mask = config.detects  # a discriminator is scored in another way; the others read samples
        self.backbone: TransformerEncoder = backbone
        self.generator = generator
        model = backbone.config
        self.architecture = "ForPreTraining" if config.detects else "ForMaskedLM"
        if self.term == "rtd":
            self.rtd = heads.ReplacedTokenHead(model.hidden, model.init)
        else:
            self.mlm = heads.MaskedLM.of(model, vocabulary.rows)
        if self.term == "all_tokens":
            self.gate = CopyGate(model.hidden)

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Rows of one or two segments as in ELECTRA's code, or packed rows, [CLS] text [SEP]."""
        special = self.vocabulary.ids("cls", "sep", "mask", "pad")
        cls, sep = special["cls"], special["sep"]
        if self.config.input_format == "segments":
            return Segments(split, length, seed, cls=cls, sep=sep, pad=special["pad"])
        return PackedRows(split, length, seed, first=cls, between=sep, last=sep)

    def segment_types(self, examples: Examples) -> int:
        """Two if any row has a second segment."""
        return examples.types if isinstance(examples, Segments) else 1

    def left_out(self, examples: Examples) -> list[str]:
        """A note that no row has a second segment."""
        if isinstance(examples, Segments) and examples.types == 1:
            return [
                "objective.input_format: no row has a second segment, since documents have one sentence or rows no "
                "room: segment type 1 is not trained, and final/ has a copy of type 0 for it; join lines to documents"
            ]
        return []

    def collate(self, examples: PackedBatch, draws: RandomStreams) -> Batch:
        """Mask the rows: ids [B, T]; at, labels and uniform, from which samples are drawn, [B, K].

        Labels of unused slots are -100, their position is 0. Rows of segments also have types [B, T] and lengths [B].
        """
        rate = self.config.mask_rate
        if self.config.masking == "code":
            masked = masking.mask_with_replacement(
                examples.ids, examples.lengths, rate, MASKED, self.vocabulary, draws
            )
        else:
            scheme = masking.MaskingScheme(rate, whole_word=False, ngram=1, corrupt=(1.0, 0.0, 0.0))
            masked = masking.mask(examples.ids, examples.lengths, scheme, self.vocabulary, draws)
        arrays = {
            "ids": masked.ids,
            "at": masked.at,
            "labels": np.where(masked.used, masked.originals, IGNORED),
            "uniform": draws.uniform(SAMPLE, *masked.at.shape).astype(np.float32),
        }
        if examples.types is not None and examples.lengths is not None:
            arrays |= {"types": examples.types, "lengths": examples.lengths}
        used, tokens = int(masked.used.sum()), self.tokens(examples)
        everywhere = self.config.loss in ("rtd", "all_tokens")
        counts = {"mlm": used, self.term: tokens if everywhere else used}
        return Batch({name: torch.from_numpy(array) for name, array in arrays.items()}, counts, tokens)

    makes_rows = True

    @torch.no_grad()
    def row_views(self, batch: Batch) -> list[RowView]:
        """The discriminator's rows: the generator's samples, and the original tokens."""
        rows = corrupt(batch, self.generator(batch, self.backbone).samples)
        views = row_view.of_batch(Batch(batch.tensors | {"ids": rows.shown}, batch.counts, batch.tokens))
        slots = zip(batch["at"].tolist(), batch["labels"].tolist(), rows.original.tolist(), strict=True)
        for view, (places, labels, original) in zip(views, slots, strict=True):
            predicted = {place for place, label in zip(places, labels, strict=True) if label != IGNORED}
            for place in sorted(predicted):
                kind = KEPT if view.ids[place] == original[place] else REPLACED
                view.marks[place] = Mark(kind, original[place])
            replaced = sum(mark.kind == REPLACED for mark in view.marks.values())
            view.facts |= {"masked_for_the_generator": len(predicted), "replaced": replaced}
            view.facts["share"] = replaced / len(view.ids)
        return views

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the two losses."""
        generated: GeneratorOutput = self.generator(batch, self.backbone)
        rows = corrupt(batch, generated.samples)
        if self.term == "rtd":
            loss = _binary_cross_entropy(*self._detect(batch, rows))
        elif self.term == "replace_mlm":
            hidden_BKD = self._states(batch, rows, batch["at"])
            loss = self.mlm.loss(hidden_BKD, self.backbone.word_embeddings, batch["labels"])
        else:
            hidden_BTD = self._states(batch, rows)
            losses_BT = self.mlm.losses(hidden_BTD, self.backbone.word_embeddings, rows.original)
            losses_BT = self.gate.losses(hidden_BTD, losses_BT, ~rows.replaced)
            loss = (losses_BT * real(batch)).sum()
        return generated.sums | {self.term: loss}

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, the number of correct predictions of each, and sums for `summary`."""
        generated = self.generator.measure(batch, self.backbone)
        rows = corrupt(batch, generated.samples)
        sums = generated.sums | {"replaced": rows.replaced.sum(), "positions": real(batch).sum()}
        if self.term == "rtd":
            found = self._detect(batch, rows)
            return sums | {"rtd": _binary_cross_entropy(*found), "scores": histograms.histograms(*found)}
        return sums | self._predicted(batch, rows)

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Loss and accuracy of both; beside each accuracy that of the best constant answer, TERM_majority.

        generator_accuracy: share of masked positions where the sample is the original token. replaced: share of all
        positions where it is not. rtd_auc, rtd_precision and rtd_recall are those of "replaced".
        """
        figures = super().summary(totals, counts)
        masked = max(counts["mlm"], 1)
        figures["mlm_majority"] = totals["labels"].max().item() / masked
        figures["generator_accuracy"] = totals["sampled"].item() / masked
        figures["replaced"] = totals["replaced"].item() / totals["positions"].item()
        if self.term == "rtd":
            figures["rtd_auc"] = histograms.area(totals["scores"])
            figures |= {
                f"rtd_{name}": value for name, value in histograms.decisions(totals["scores"]).items()
            }
        return figures

    def remarks(self, figures: dict[str, float]) -> list[str]:
        """Warnings of known failures of generator or discriminator."""
        return diagnostics(figures)

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """The discriminator, and in `generator` the generator with a copy of what it shares.

        The gate of all_tokens does not exist in Hugging Face's models and stays in the checkpoints.
        """
        own = {
            k: t for k, t in self.state_dict().items() if k.partition(".")[0] in ("backbone", "rtd", "mlm")
        }
        assert isinstance(model, Model)
        state = self.generator.state(self.backbone)
        generator = ExportSpec(self.config.generator_config(model), state, "ForMaskedLM")
        return {"": ExportSpec(model, own, self.architecture), "generator": generator}

    def from_folders(self, states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The discriminator's state, and the part of the generator's that is not shared."""
        own = self.generator.own(states["generator"]) if "generator" in states else {}
        return dict(states[""]) | {f"generator.{key}": tensor for key, tensor in own.items()}

    def _states(self, batch: Batch, rows: Corrupted, at: Tensor | None = None) -> Tensor:
        """The discriminator's last hidden states, [B, T, D], or [B, K, D] of the positions `at`."""
        return self.backbone(replace(inputs_of(batch, at), ids=rows.shown))

    def _detect(self, batch: Batch, rows: Corrupted) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits of "replaced", labels, and which positions count (None: all): [B, T], or [B, K] for ELECTRA 15 %."""
        if self.config.loss == "rtd":
            counted = real(batch) if "lengths" in batch else None
            return self.rtd(self._states(batch, rows)), rows.replaced, counted
        logits_BK = self.rtd(self._states(batch, rows, batch["at"]))
        return logits_BK, rows.replaced.gather(1, batch["at"]), batch["labels"] != IGNORED

    def _predicted(self, batch: Batch, rows: Corrupted) -> dict[str, Tensor]:
        """Loss and number of correct predictions of replace_mlm or all_tokens."""
        words_VE = self.backbone.word_embeddings
        if self.term == "replace_mlm":
            hidden_BKD = self._states(batch, rows, batch["at"])
            losses, correct = self.mlm.scores(hidden_BKD, words_VE, batch["labels"])
        else:
            counted_BT = real(batch)
            every = (self._states(batch, rows), rows.original, rows.shown)
            losses, correct = self.gate.scores(self.mlm, words_VE, *(x[counted_BT] for x in every))
        return {self.term: losses.sum(), f"{self.term}_correct": correct.sum()}


def real(batch: Batch) -> Tensor:
    """[B, T] bool, False at padding."""
    if "lengths" not in batch:
        return torch.ones_like(batch["ids"], dtype=torch.bool)
    return torch.arange(batch["ids"].shape[1], device=batch["ids"].device) < batch["lengths"][:, None]


def corrupt(batch: Batch, samples_BK: Tensor) -> Corrupted:
    """The batch's rows with the samples, and with the labels, at the positions of used slots.

    Slots at the same position, which only Google's sampling produces, give it the mean of their samples, rounded
    down: an arbitrary token. scatter_update in its pretrain_helpers.py does so.
    """
    ids_BT, at_BK, used_BK = batch["ids"], batch["at"], (batch["labels"] != IGNORED).long()
    slots_BT = torch.zeros_like(ids_BT).scatter_add(1, at_BK, used_BK)

    def written(values_BK: Tensor) -> Tensor:
        sums_BT = torch.zeros_like(ids_BT).scatter_add(1, at_BK, values_BK * used_BK)
        return torch.where(slots_BT > 0, sums_BT // slots_BT.clamp(min=1), ids_BT)

    return Corrupted(written(samples_BK), written(batch["labels"]))


def _binary_cross_entropy(logits: Tensor, replaced: Tensor, counted: Tensor | None) -> Tensor:
    wide = torch.promote_types(logits.dtype, torch.float32)
    weights = None if counted is None else counted.to(wide)
    return F.binary_cross_entropy_with_logits(logits.to(wide), replaced.to(wide), weights, reduction="sum")


def build(config: "Config", model: Model, vocabulary: Vocabulary) -> Electra:
    """Discriminator and generator with the configs `model` and `config`."""
    backbone, shape = model.build(vocabulary.rows), config.generator_config(model)
    assert isinstance(backbone, TransformerEncoder)  # whose embeddings the generator may share
    generator = Generator(shape, vocabulary.rows, config.tie, config.temperature)
    return Electra(config, vocabulary, backbone, generator)
