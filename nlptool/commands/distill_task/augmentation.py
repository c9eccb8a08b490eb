"""Augmented copies of a task's training rows, encoded in bounded memory."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from nlptool.commands.distill_task.recipe import Augment
from nlptool.commands.distill_task.teacher import FinetunedTeacher
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.data import pair_inputs
from nlptool.data.augmentation import augmented_copies
from nlptool.evaluation.fill_mask import FillMask
from nlptool.evaluation.replacement_candidates import (
    MaskedLMCandidates,
    NearestNeighbours,
    ReplacementCandidates,
    frequent,
)
from nlptool.models import hub
from nlptool.models.base import Decoder, Encoder
from nlptool.text.tabular import Example, Row
from nlptool.text.tokenizer import Tokenizer

TOGETHER = 64  # rows whose candidates are computed at once
SEED = 0  # seed of the copies, common to all runs of a recipe


class AugmentingEncoder:
    """Writes splits like the task, but training rows with their copies; a TaskObjective.encode."""

    def __init__(self, augment: Augment, setup: FinetuneSetup, teacher: FinetunedTeacher) -> None:
        self.augment, self.setup, self.teacher = augment, setup, teacher

    def __call__(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Write a split at `prefix`, which is named after it, and return the number of rows, copies included."""
        if prefix.name != self.setup.task.train:
            return self.setup.shape.encode(rows, tokenizer, prefix, labelled=labelled)
        examples = (self._example(row) for row in rows)
        return pair_inputs.write(self._with_copies(examples), tokenizer, prefix)

    def _with_copies(self, examples: Iterator[Example]) -> Iterator[Example]:
        replacements, augment, numbered = self._replacements(), self.augment, enumerate(examples)
        while some := list(islice(numbered, TOGETHER)):
            texts = dict.fromkeys(text for _, example in some for text in _texts(example))
            candidates = replacements.of(list(texts))
            for row, example in some:
                yield from augmented_copies(
                    example, candidates, augment.copies_per_row, augment.probability, SEED, row
                )

    def _replacements(self) -> ReplacementCandidates:
        """Words and their candidates, from the masked language model or else from the teacher."""
        number, examples = self.augment.candidates, map(self._example, self._rows())
        words = frequent(text for example in examples for text in _texts(example))
        device = next(self.teacher.objective.parameters()).device
        backbone: Encoder | Decoder
        if self.augment.model is None:
            tokenizer, backbone, candidates = (
                self.teacher.setup.tokenizer,
                self.teacher.objective.backbone,
                None,
            )
        else:
            filler = FillMask(hub.folder(self.augment.model))
            encoder = filler.model.to(device)
            tokenizer, backbone = filler.tokenizer, encoder
            candidates = MaskedLMCandidates(tokenizer, encoder, filler.head.to(device), number)
        return ReplacementCandidates(
            tokenizer, NearestNeighbours(tokenizer, backbone.word_embeddings, words, number), candidates
        )

    def _rows(self) -> Iterator[Row]:
        return self.setup.labelled.read(self.setup.task.train)

    def _example(self, row: Row) -> Example:
        return self.setup.task.example(row, labelled=True)


def _texts(example: Example) -> Iterator[str]:
    return (text for read in example.inputs for text in read)
