"""Several text tasks learnt by one decoder, a batch of each in turn (McCann et al. 2018, section 3.2)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nlptool.data.prompt_completion import ConcatDataset, PromptDataset
from nlptool.data.vocabulary import Vocabulary
from nlptool.evaluation.metrics import decanlp
from nlptool.models.base import Decoder
from nlptool.models.config import ModelConfig
from nlptool.tasks.base import LabelledDataset
from nlptool.tasks.text_generation.objective import TextGeneration

if TYPE_CHECKING:
    from nlptool.tasks.text_generation.config import Config, SubtaskConfig


class MultiTask(TextGeneration):
    """Text generation over several tasks; split A/B is split B of task A."""

    def prepare_splits(self, splits: dict[str, LabelledDataset]) -> dict[str, LabelledDataset]:
        """The joined training splits of several tasks."""
        rest = {name: rows for name, rows in splits.items() if name not in self.config.train_splits}
        return {
            self.config.train: ConcatDataset(
                [part for name in self.config.train_splits for part in _parts(splits[name])]
            ),
            **rest,
        }

    def subsets(self, rows: LabelledDataset) -> list[LabelledDataset]:
        """A batch of each task in turn."""
        return list(rows.parts) if isinstance(rows, ConcatDataset) else [rows]

    def total(self, figures: dict[str, float], rows: Mapping[str, int]) -> dict[str, float]:
        """The sum of each task's first metric; of decaNLP's ten, also the decaScore.

        A task with several validation splits counts with the mean over all their rows, as decaNLP joins both sets of
        MNLI.
        """
        tasks = {name: task.metrics[0] for name, task in self.config.tasks.items()}
        sums, counts = dict.fromkeys(tasks, 0.0), dict.fromkeys(tasks, 0)
        for split in self.config.validation:
            name, _ = self.config.part(split)
            sums[name] += rows[split] * figures[f"{self.config.heading(split)}{tasks[name]}"]
            counts[name] += rows[split]
        first = {name: sums[name] / counts[name] for name in tasks}
        whole = {"deca_score": decanlp.score(first)} if tasks.items() >= decanlp.TASKS.items() else {}
        return {"sum": sum(first.values())} | whole

    def _task_of(self, prefix: Path) -> "SubtaskConfig":
        return self.config.parts[prefix.parent.name]

    def _training_answers(self, train: LabelledDataset, rows: PromptDataset) -> list[str]:
        folder = rows.split.prefix.parent
        (known,) = (part for part in _parts(train) if part.split.prefix.parent == folder)
        return known.answers


def _parts(rows: LabelledDataset) -> list[PromptDataset]:
    parts = rows.parts if isinstance(rows, ConcatDataset) else [rows]
    return [part for part in parts if isinstance(part, PromptDataset)]


def build(
    config: "Config", model: ModelConfig, vocabulary: Vocabulary, dropout: float | None
) -> TextGeneration:
    """A decoder; its head is its word embeddings, so it has no new weights. Raises DataError without an end of text."""
    decoder = model.build(vocabulary.rows)
    assert isinstance(decoder, Decoder)  # `check` has made sure
    return (MultiTask if config.tasks else TextGeneration)(config, vocabulary, decoder)
