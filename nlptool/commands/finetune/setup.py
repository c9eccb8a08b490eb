"""A recipe with its model and rows, shared by the runs of all seeds."""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from nlptool.commands.finetune.recipe import Dropout, Recipe
from nlptool.console import Console
from nlptool.data.length_bucketing import LengthBucketedBatches, RoundRobinBatches
from nlptool.data.pair_inputs import Truncation
from nlptool.errors import DataError, UsageError
from nlptool.evaluation.metrics import generated_text
from nlptool.models import hub, huggingface
from nlptool.models.config import ModelConfig
from nlptool.models.layers import Layers
from nlptool.models.layerwise import freeze, layer_lr_factors
from nlptool.objectives.base import Objective
from nlptool.recipe import dump_given
from nlptool.tasks import features, labelled
from nlptool.tasks.base import LabelledDataset, Numbers, TaskObjective
from nlptool.tasks.finetuned import open_entities, require_head, require_same_classes
from nlptool.tasks.flop_count import FlopCount
from nlptool.tasks.labelled import LabelledSource
from nlptool.tasks.predictions import compute_logits
from nlptool.tasks.row_reading import row_reading
from nlptool.tasks.task_record import TaskRecord
from nlptool.text.tabular import Row
from nlptool.train.distributed import DistributedContext
from nlptool.train.estimate import shapes_only
from nlptool.train.interrupts import SignalHandler

PART = 4096  # tokens that a CPU computes at once, to bound memory; with 1,024 it is a fifth slower
OFTEN = 1000  # rows between updates of the progress bar
KEPT = ("backbone", "pooler")  # parts of the pretrained model; heads are new


class FinetuneSetup:
    """A recipe with its model and rows, shared by the runs of all seeds.

    Raises DataError when model, tokenizer and rows do not match, UsageError when they do not support the recipe.
    whole: keep the head of the pretrained model, too. stage: the key of `train` in the user's recipe.
    """

    def __init__(self, recipe: Recipe, *, whole: bool = False, stage: str = "train") -> None:
        self.task, self.data = recipe.task, recipe.data
        self.start, self.out = recipe.init_from, Path(recipe.out)
        self.train, self.dropout, self.evaluate = recipe.train, recipe.dropout, recipe.evaluate
        generated_text.require_packages(self.task.metrics)
        self.folder = hub.folder(recipe.init_from)
        pretrained = huggingface.load_pretrained(self.folder)
        problems = self.task.check(pretrained.config)
        if problems:
            raise DataError(f"{recipe.init_from}: {problems[0].message}")
        self.stage = stage
        pretrained, self.tokenizer, self.vocabulary = row_reading(self.folder, pretrained, self.task)
        self.model = _with_dropout(pretrained.config, recipe.dropout)
        if recipe.train.sequence_length > self.model.max_positions:
            raise UsageError(
                f"{stage}.sequence_length: {recipe.train.sequence_length} tokens are more than the model's "
                f"{self.model.max_positions} positions",
                hint=f"{stage}.sequence_length={self.model.max_positions}, or begin from a model with more positions",
            )
        self.splits: dict[str, LabelledDataset] = {}
        self.knowledge = open_entities(self.task, self.model, self.start)
        with shapes_only():
            self.shape = self.objective()
        self.state = self._kept(pretrained.state, whole=whole or recipe.keep_head)
        if recipe.keep_head:
            require_head(self.shape, self.state, self.start)
            require_same_classes(self.shape, self.model, self.folder, self.start)
        self.pretrained_positions = huggingface.trained_positions(self.folder, pretrained.config)
        """Number of positions that the pretrained model's training has reached."""
        self.rates = self._rates()

    def encode(self, rows: Path, console: Console, encode: labelled.Encodes | None = None) -> None:
        """Encode the rows of all splits into the folder `rows`, unless they are there already.

        encode: replaces the task's own.
        """
        watch = partial(watched, console)
        self.labelled.prepare(self.tokenizer, encode or self.shape.encode, rows, watch, console.note)

    @property
    def described(self) -> str | None:
        """The task's file, if the task names files of rows itself."""
        source = self.task.source
        return None if source is None or source.files is None else dump_given(self.task)

    @property
    def labelled(self) -> LabelledSource:
        """The source of the task's rows."""
        return LabelledSource(self.task, self.data)

    def open(self, rows: Path) -> None:
        """Open the rows written by `encode`."""
        train, opened = self.train, labelled.opened(rows)
        self.splits = self.shape.prepare_splits(
            {name: self.shape.dataset(split, train.sequence_length) for name, split in opened.items()}
        )
        examples = len(self.splits[self.task.train])
        self.epoch = max(1, math.ceil(examples / train.batch_size))
        self.steps = train.steps or max(1, math.ceil(train.epochs * examples / train.batch_size))

    def keep_features(self, rows: Path, device: torch.device, console: Console) -> None:
        """Compute the features of all rows by the frozen part of the model, if the task has one; cached in `rows`."""
        if not self.shape.keeps_features:
            return
        objective = self.objective()
        huggingface.load(objective, self.state)
        objective.to(device)
        for name, split in self.splits.items():
            with console.progress(f"encoding {name} with {self.start}", len(split), "rows") as bar:
                features.keep(objective, split, self._features(rows, name), self._model_digest, bar.to)

    def use_features(self, rows: Path) -> None:
        """Load the features written by `keep_features`."""
        if self.shape.keeps_features:
            for name, split in self.splits.items():
                found = features.kept(self._features(rows, name), self._model_digest, split)
                self.shape.use_features(split, found)

    def assume_features(self) -> None:
        """For a plan: give steps the cost that they have after `use_features`."""
        for split in self.splits.values() if self.shape.keeps_features else ():
            self.shape.assume_features(split)

    @staticmethod
    def _features(rows: Path, split: str) -> Path:
        return rows / f"{split}.features"

    @cached_property
    def _model_digest(self) -> str:
        return features.digest_of(self.folder, self.task.model_dump_json(include={"pooling"}))

    @property
    def models(self) -> dict[str, Path]:
        """The folders that the runs depend on; a run resumes only with the same ones."""
        knowledge = self.knowledge
        entities = {} if knowledge is None else {"entity_embeddings": knowledge.embeddings.path}
        return {"init_from": self.folder} | entities

    def objective(self) -> TaskObjective:
        """A new model with random weights, on torch's default device."""
        objective = self.task.build(self.model, self.vocabulary, self.dropout.head)
        if self.splits:
            objective.weigh(self.splits[self.task.train])
        objective.knowledge = self.knowledge
        freeze(objective, self.train.freeze)
        return objective

    def batches(
        self, objective: Objective, seed: int, world: DistributedContext, most: int = PART
    ) -> RoundRobinBatches:
        """A run's batches. most: tokens that a CPU computes at once."""
        train, rows = self.train, self.splits[self.task.train]
        world.require_equal_parts(train.batch_size, train.gradient_accumulation)
        turns = self.shape.subsets(rows)
        return RoundRobinBatches(
            [
                LengthBucketedBatches(
                    part,
                    objective.collate,
                    batch=train.batch_size,
                    steps=len(range(turn, self.steps, len(turns))),
                    seed=seed,
                    rank=world.rank,
                    world=world.size,
                    accumulate=train.gradient_accumulation,
                    part=most if world.device.type == "cpu" else None,
                )
                for turn, part in enumerate(turns)
            ]
        )

    def predict_split(
        self, objective: TaskObjective, split: str, world: DistributedContext, interrupts: SignalHandler
    ) -> Numbers:
        """The logits of each decision of a split, [N, W]."""
        record = self.record
        return compute_logits(
            objective,
            self.splits[split],
            record.precision,
            world,
            interrupts,
            batch_size=record.batch_size,
        )

    def figures(self, split: str, logits: Numbers) -> dict[str, float]:
        """Mean loss and metrics of the predictions for a split."""
        return self._named(split, self.shape.figures(self.splits[split], logits))

    def baseline(self) -> dict[str, float]:
        """The baseline without a model, on all validation splits."""
        train, found = self.splits[self.task.train], dict[str, float]()
        for split in self.task.validation:
            found |= self._named(split, self.shape.baseline(train, self.splits[split]))
        return self.with_total(found)

    def with_total(self, found: dict[str, float]) -> dict[str, float]:
        """Figures of each validation split, with their total."""
        return found | self.shape.total(found, {name: rows.count for name, rows in self.splits.items()})

    @property
    def cuts(self) -> dict[str, list[Truncation]]:
        """Truncations of each split, by the user's keys."""
        return {
            split: [
                cut._replace(key=cut.key.replace("train.", f"{self.stage}.", 1))
                for cut in rows.cuts
                if rows.count
            ]
            for split, rows in self.splits.items()
        }

    def remark(self, console: Console) -> None:
        """Notes on truncated rows, suspicious rows, and positions without pretraining."""
        if 0 < self.pretrained_positions < self._longest:
            console.note(
                f"{self.start} was trained on {self.pretrained_positions:,} positions, and rows have up to "
                f"{self._longest:,} tokens: what a model knows of those beyond it learns here; "
                f"{self.stage}.sequence_length={self.pretrained_positions} would cut the rows there"
            )
        for split, cuts in self.cuts.items():
            rows = self.splits[split]
            warnings = [cut.message(rows.count) for cut in cuts if cut.rows] + self.shape.data_warnings(rows)
            for remark in warnings:
                console.note(f"{split}: {remark}")

    @property
    def _longest(self) -> int:
        """Tokens of the longest training row."""
        return min(int(self.splits[self.task.train].lengths.max()), self.train.sequence_length)

    def export(self, objective: TaskObjective, path: Path) -> None:
        """Write the model and its tokenizer as a Hugging Face folder."""
        spec = objective.folders(self.model)[""]
        spec.save(path, self.tokenizer, max(self.pretrained_positions, self._longest))
        self.record.write(path)

    @property
    def record(self) -> TaskRecord:
        """The record in final/, with the current thresholds."""
        train = self.train
        return TaskRecord(
            self.task,
            train.sequence_length,
            train.batch_size // train.gradient_accumulation,
            train.precision,
            self.shape.thresholds,
        )

    def cost(self, objective: Objective, device: torch.device) -> FlopCount:
        """FLOPs of a training step with a micro-batch of the training rows. device: of the objective."""
        return FlopCount(objective, self.splits[self.task.train], self.shape, device)

    def flops_per_row(self, objective: Objective) -> float:
        """Mean FLOPs of a training step over the rows of a run. objective: on the meta device."""
        turns = self.shape.subsets(self.splits[self.task.train])
        costs = [FlopCount(objective, part, self.shape, torch.device("meta")).mean() for part in turns]
        return sum(costs) / len(costs)

    def _kept(self, state: Mapping[str, Tensor], *, whole: bool) -> dict[str, Tensor]:
        """The parts of the pretrained model that the objective has, with or without its head."""
        own = self.shape.from_folders({"": state})
        kept = {name for name, _ in self.shape.named_children()} if whole else KEPT
        return {key: tensor for key, tensor in own.items() if key.partition(".")[0] in kept}

    def _named(self, split: str, found: dict[str, float]) -> dict[str, float]:
        """Figures of the first validation split by their names, of others with the split's prefix."""
        return {f"{self.task.heading(split)}{name}": value for name, value in found.items()}

    def _rates(self) -> dict[str, float]:
        decay = self.train.layerwise_lr_decay
        if decay == 1:
            return {}
        (layers,) = (part for part in self.shape.backbone.modules() if isinstance(part, Layers))
        if len(layers.attention) < layers.depth or len(layers.mlp) < layers.depth:
            raise UsageError(
                f"train.layerwise_lr_decay: the layers of {self.start} share their weights, so they have one rate",
                hint="leave train.layerwise_lr_decay out",
            )
        return layer_lr_factors((name for name, _ in self.shape.named_parameters()), layers.depth, decay)


def _with_dropout(model: ModelConfig, dropout: Dropout) -> ModelConfig:
    """The model's config with the dropout of the recipe."""
    rates = {"dropout": dropout.hidden, "attention_dropout": dropout.attention}
    return model.model_copy(update={key: rate for key, rate in rates.items() if rate is not None})


def watched(console: Console, split: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows of a split, with a progress bar."""
    with console.progress(f"encoding {split}", None, "rows") as bar:
        number = 0
        for number, row in enumerate(rows, start=1):
            if number % OFTEN == 0:
                bar.to(number)
            yield row
        bar.to(number)
