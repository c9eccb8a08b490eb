"""The base of objectives: a model, how its batches are made, and its loss.

A loss is a set of named sums over named counts. `forward` returns the sums; the batch carries the counts, known when
it is collated; the trainer divides by the totals over all micro-batches and ranks. So the gradient of a step does
not depend on how its batch is divided.

Its recipe block (objectives/config.py) builds it: the model by `model.build`, or several of them, and the heads.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from nlptool import flops
from nlptool.data import row_view
from nlptool.data.batches import Batch, Batches, Examples, Stage
from nlptool.data.random_streams import RandomStreams
from nlptool.data.row_view import RowView
from nlptool.knowledge.embeddings import EntityEmbeddings
from nlptool.models import huggingface
from nlptool.models.base import Decoder, Encoder, Inputs, LinkedEntities
from nlptool.models.config import ModelConfig
from nlptool.text.imported import FINGERPRINT
from nlptool.text.store import Split
from nlptool.text.tokenizer import Tokenizer


class ExportSpec(NamedTuple):
    """A model as a Hugging Face folder, under nlptool's names."""

    config: ModelConfig
    state: Mapping[str, Tensor]
    architecture: str
    """The suffix of its class in transformers, e.g. ForMaskedLM; Model has no head."""
    template: bool = True
    """Whether the tokenizer puts [CLS] and [SEP] around a text, as an encoder expects."""
    own_template: bool = False
    """Whether the tokenizer keeps its post-processor, as for the labelled rows of a decoder."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """Further settings in config.json, such as the names of classes."""

    def save(self, path: Path, tokenizer: Tokenizer, trained_positions: int) -> None:
        """Write config.json, the weights and the tokenizer into a folder, as `final/` has them.

        trained_positions: how many positions training has reached; config.json records it with the tokenizer's
        fingerprint. An encoder's tokenizer adds [CLS] and [SEP] to a text, as in training; a decoder's adds nothing,
        unless the model was fine-tuned with special tokens around its rows.
        """
        settings = {
            **self.settings,
            huggingface.TRAINED: trained_positions,
            FINGERPRINT: tokenizer.fingerprint,
        }
        huggingface.save_pretrained(
            path, self.config, self.state, tokenizer.special, settings, self.architecture
        )
        if not self.own_template:
            tokenizer = tokenizer.framed() if self.template else tokenizer.bare()
        tokenizer.save(path, max_length=self.config.max_positions)


def inputs_of(batch: Batch, output_positions: Tensor | None = None) -> Inputs:
    """A batch as the inputs of a model. output_positions: [B, K]; None: all."""
    return Inputs(
        ids=batch["ids"],
        token_type_ids=batch.tensors.get("types"),
        lengths=batch.tensors.get("lengths"),
        output_positions=output_positions,
        entities=LinkedEntities(batch["entity_at"], batch["entity_vectors"])
        if "entity_at" in batch
        else None,
        compute_padding=batch.compute_padding,
    )


class Objective(nn.Module):
    """A model together with its examples, masking, heads and loss terms.

    Parameter names begin with the name of a part, `backbone.` for the model; a family's huggingface.py maps them.
    """

    architecture: str = "Model"
    """The suffix of the exported model's class in transformers: ForMaskedLM, ..."""

    weights: dict[str, float]
    """Weight of each loss term, e.g. {"mlm": 1.0, "rtd": 50.0}."""

    sees_mask = True
    """Whether the exported model has seen [MASK], which scoring by pseudo-log-likelihood requires."""

    keeps_teacher = False
    """Whether batches carry their `teacher_outputs`, computed once for all epochs."""

    entities: EntityEmbeddings | None = None
    """Entity embeddings, from which batches get vectors. They are memory-mapped, in no state dict and on no device."""

    backbone: Encoder | Decoder
    """The model that fine-tuning, prompting, distillation and export load."""

    _teacher: tuple[nn.Module, ...] = ()  # in a tuple it is not registered as a child

    @property
    def teacher(self) -> nn.Module | None:
        """A trained model to learn from; None: the objective learns from its batches alone."""
        return self._teacher[0] if self._teacher else None

    def learn_from(self, teacher: nn.Module) -> None:
        """Set the teacher: without gradient and dropout, in no state dict, on the device of this module."""
        self._teacher = (teacher.requires_grad_(False).eval(),)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """torch's hook for moving and converting modules: it includes the teacher."""
        if self.teacher is not None:
            self.teacher._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def teacher_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The teacher's outputs for a batch, to be cached: tensors that the batch carries in later epochs."""
        raise NotImplementedError

    def examples(self, split: Split, length: int, seed: int) -> Examples:
        """Cut `split` into examples of at most `length` tokens, special tokens included.

        Raises DataError when the split lacks what the objective needs.
        """
        raise NotImplementedError

    def tokens(self, examples: Any) -> int:
        """Real tokens in the result of `examples(...).take`, special ones included, as its batch counts them."""
        count: int = examples.tokens
        return count

    def collate(self, examples: Any, draws: RandomStreams) -> Batch:
        """Make one micro-batch from the result of `examples(...).take`; every random choice comes from `draws`.

        counts has every term of `weights`. It does not use the model, so that a thread can make batches.
        """
        raise NotImplementedError

    makes_rows = False
    """Whether one part of the model generates what another part reads, so that rows cannot be shown without weights."""

    def row_views(self, batch: Batch) -> list[RowView]:
        """The rows of a batch, with what they predict, for display."""
        return row_view.of_batch(batch)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Loss terms, each the SUM over `batch.counts[term]` predictions, in nats."""
        raise NotImplementedError

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """Held-out sums: the loss terms and further sums for `summary`."""
        return self(batch)  # type: ignore[no-any-return]

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        """Held-out figures from the sums and counts of all held-out batches.

        The mean of each term, and TERM_accuracy where `measure` gives TERM_correct.
        """
        figures = {}
        for term in self.weights:
            count = max(counts[term], 1)
            figures[term] = totals[term].item() / count
            if f"{term}_correct" in totals:
                figures[f"{term}_accuracy"] = totals[f"{term}_correct"].item() / count
        return figures

    def segment_types(self, examples: Examples) -> int:
        """Number of segment types in the rows; embeddings of other types are not trained."""
        return 1

    def left_out(self, examples: Examples) -> list[str]:
        """Notes on data of a split that its examples never contain, for the start of a run."""
        return []

    def loss(self, figures: dict[str, float]) -> float:
        """Score that selects the best checkpoint (lower is better): the weighted sum of the held-out terms."""
        return sum(weight * figures[term] for term, weight in self.weights.items())

    def remarks(self, figures: dict[str, float]) -> list[str]:
        """Warnings that held-out figures give rise to, e.g. of a collapsed model."""
        return []

    def folders(self, model: ModelConfig) -> dict[str, ExportSpec]:
        """The models to export, by the name of a folder; "" is the run's `final` itself."""
        return {"": ExportSpec(model, self.state_dict(), self.architecture)}

    def from_folders(self, states: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The inverse of `folders`: the objective's state, or parts of it, from the states of exported models."""
        return dict(states[""])


class StepFlops:
    """FLOPs of a training step with a micro-batch, counted on one row of each length.

    All rows of a length cost the same, since padding is computed and counted, too.
    examples: rows of each length that batches have.
    """

    def __init__(self, objective: Objective, examples: Mapping[int, Examples], device: torch.device) -> None:
        self.objective, self.examples, self.device = objective, examples, device
        self._by_length: dict[int, int] = {}

    def __call__(self, batch: Batch) -> float:
        """FLOPs of the forward and backward pass."""
        rows, length = batch["ids"].shape
        if length not in self._by_length:
            self._by_length[length] = self._count(length)
        return float(rows * self._by_length[length])

    def _count(self, length: int) -> int:
        (row,) = Batches([Stage(0, 1, self.examples[length])], self.objective.collate, seed=0).get(0)
        with torch.no_grad(), flops.counting() as count:
            self.objective(replace(row.to(self.device), compute_padding=True))
        return count.step
