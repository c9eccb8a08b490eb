"""A fine-tuned teacher: its logits, and a student initialised from its layers."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlptool import weights_record
from nlptool.atomic_files import notify_recomputed, read_json, read_or_recompute, replacing, write_json
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.data.batches import Batch
from nlptool.data.length_bucketing import SequentialBatches
from nlptool.distill.layer_map import evenly_spaced_layers, select_layers
from nlptool.errors import DataError, UsageError
from nlptool.manifests import atomic_folder, digest
from nlptool.models import huggingface
from nlptool.models.config import ModelConfig
from nlptool.objectives.base import ExportSpec
from nlptool.progress import Progress
from nlptool.runs.launch import RunContext
from nlptool.tasks.base import Numbers, TaskObjective
from nlptool.tasks.finetuned import require_head, require_same_classes
from nlptool.train.trainer import derive_seed, predictions

PROVENANCE = "teacher.json"


class FinetunedTeacher:
    """A fine-tuned model. Raises DataError where its task or classes differ."""

    def __init__(self, setup: FinetuneSetup) -> None:
        self.setup = setup
        self.objective = self.setup.objective()
        require_head(self.objective, setup.state, setup.start)
        require_same_classes(self.objective, setup.model, setup.folder, setup.start)
        huggingface.load(self.objective, self.setup.state)

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.setup.model.layers

    def part(self, layers: int) -> dict[str, Tensor]:
        """A model of its layers, with its head. Raises UsageError where it has fewer, or shares their weights."""
        try:
            return select_layers(self.setup.state, evenly_spaced_layers(self.layers, layers))
        except ValueError as error:
            raise UsageError(f"layers: {error}", hint="or name a student: init_from=FOLDER") from error

    def write(self, layers: int, path: Path) -> None:
        """Write that model as a Hugging Face folder."""
        model = self.setup.model.model_copy(update={"layers": layers})
        spec = self.objective.folders(model)[""]._replace(state=self.part(layers))
        self._write(spec, path, self.setup.pretrained_positions)

    def untrained(self, model: ModelConfig) -> TaskObjective:
        """Another model for the task, with random weights and the same tokenizer."""
        setup = self.setup
        return setup.task.build(model, setup.vocabulary, setup.dropout.head)

    def write_untrained(self, model: ModelConfig, seed: int, path: Path) -> None:
        """Write such a model as a Hugging Face folder."""
        torch.manual_seed(derive_seed(seed))
        objective = self.untrained(model)
        self._write(objective.folders(model)[""], path, 0)

    def _write(self, spec: ExportSpec, path: Path, trained_positions: int) -> None:
        with atomic_folder(path) as aside:
            spec.save(aside, self.setup.tokenizer, trained_positions)
            weights_record.stamp(aside, weights_record.Stamp(0, 0))

    def predict_split(self, student: FinetuneSetup, split: str, context: RunContext) -> Numbers:
        """Its logits for the rows of a split as encoded for a student, [N, W]."""
        console, world, signals = context
        objective, rows, train = self.objective, student.splits[split], student.train
        source = SequentialBatches(
            rows,
            objective.collate,
            batch=train.batch_size // train.gradient_accumulation,
            rank=world.rank,
            world=world.size,
        )
        shape = (len(rows.labels), objective.num_outputs)
        with console.progress(f"the teacher reads {split}", len(source), "batches") as bar:
            watched = _Watched(source, bar)
            logits = predictions(
                objective, objective.predict, watched, len(source), shape, train.precision, world, signals
            )
        return logits.numpy()

    def training_logits(self, student: FinetuneSetup, out: Path, context: RunContext) -> Tensor:
        """Its logits for the training rows, [N, W], float32; cached in out/teacher.npy for resumed runs."""
        path, provenance = out / "teacher.npy", out / PROVENANCE
        facts = {"length": student.train.sequence_length}  # teacher and rows stay the same
        if not _is_cached(path, provenance, facts):
            logits = self.predict_split(student, student.task.train, context)
            with context.signals.shield():
                context.world.on_rank0(lambda: _write(logits, path, provenance, facts))
        return torch.from_numpy(np.load(path))


def _write(logits: Numbers, path: Path, provenance: Path, facts: dict[str, Any]) -> None:
    """Write the logits, then their provenance and the file's digest."""
    with replacing(path, "wb") as file:
        np.save(file, logits.astype(np.float32))
    write_json(provenance, facts | {"sha256": digest(path)})


def _is_cached(path: Path, provenance: Path, facts: dict[str, Any]) -> bool:
    """Whether intact logits are cached; if not, they are computed again."""
    known = read_or_recompute(provenance, dict)
    if known is None or any(known.get(key) != value for key, value in facts.items()):
        return False
    if why := fault(provenance):
        notify_recomputed(why)
    return why is None


def fault(provenance: Path) -> str | None:
    """Why the logits beside a teacher.json are damaged; None if they are not."""
    path = provenance.with_suffix(".npy")
    try:
        same = read_json(provenance, dict).get("sha256") == digest(path)
    except FileNotFoundError as error:
        return f"{error.filename}: is missing"
    except DataError as error:
        return error.message
    return None if same else f"{path}: is not what was written (its digest differs)"


class _Watched:
    """Batches, with a progress bar."""

    def __init__(self, source: SequentialBatches, bar: Progress) -> None:
        self.source, self.bar = source, bar

    def get(self, n: int) -> list[Batch]:
        """Batch n."""
        self.bar.to(n + 1)
        return self.source.get(n)
