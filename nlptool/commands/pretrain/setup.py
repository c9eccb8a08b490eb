"""A checked recipe with its store: batches, model and objective, and the needs of the run."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from nlptool.commands.pretrain import needs
from nlptool.commands.pretrain.recipe import Recipe, check_model
from nlptool.commands.pretrain.stores import Stores, linked_entities, parts_of
from nlptool.data.batches import Batches, Examples, PrefetchingLoader, RepeatedEpochs, Stage
from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError, UsageError
from nlptool.models import huggingface
from nlptool.models.huggingface import Pretrained
from nlptool.models.layers import Layers
from nlptool.models.token_types import has_distinct_types, with_types
from nlptool.objectives import initial_weights, student_init
from nlptool.objectives.base import Objective, StepFlops
from nlptool.runs.teacher_cache import TeacherCache
from nlptool.text.tokenizer import Tokenizer
from nlptool.train.config import Stage as StageBlock
from nlptool.train.distributed import DistributedContext
from nlptool.train.estimate import Estimate, shapes_only
from nlptool.train.stages import FRESH, ResumedAt, first_steps, steps_for

HELD_OUT_SEED = 0  # the same rows and masks in every run, whatever its seed, so that runs are comparable
MEASURED = 4096  # rows of a stage whose real tokens are counted, up to 512 tokens long; fewer if longer
ENDLESS = 1 << 62  # steps of a run with a budget of time


class PretrainSetup:
    """A recipe with its store: everything that follows from both before any weight is created.

    begun: the progress of a resumed run. Raises DataError when store, tokenizer and weights do not match, or the
    store is too small.
    """

    def __init__(self, recipe: Recipe, begun: ResumedAt = FRESH) -> None:
        self.train, self.evaluate, self.save, self.begun = recipe.train, recipe.evaluate, recipe.save, begun
        self.objective_config, self.seed, self.out = recipe.objective, recipe.seed, Path(recipe.out)
        self.init_from, self.origin = recipe.init_from, recipe.init_from or recipe.teacher
        """The origin of the weights in the recipe; None: random weights."""
        self._estimates: dict[tuple[int, int], Estimate] = {}
        self.stores = Stores(recipe.store)
        self.store = self.stores.first
        self.tokenizer = tokenizer = Tokenizer.of_store(self.store)
        self.entities = linked_entities(recipe.entity_embeddings, self.store)
        self.teacher = (
            student_init.read(recipe.teacher, tokenizer, str(self.store.path)) if recipe.teacher else None
        )
        self.pretrained = _initial_weights(recipe, tokenizer, str(self.store.path), self.teacher)
        pretrained_teacher = None if self.teacher is None else self.teacher.pretrained
        rows = initial_weights.rows((self.pretrained, pretrained_teacher), tokenizer.vocab_size)
        if self.pretrained is not None:
            self.pretrained = huggingface.cut(self.pretrained, rows)
        if self.teacher is not None:
            self.teacher = self.teacher._replace(pretrained=huggingface.cut(self.teacher.pretrained, rows))
        model, width = recipe.model, None if self.entities is None else self.entities.width
        if self.pretrained is not None:
            model = recipe.objective.beginning(self.pretrained.config, width)
        assert model is not None  # the recipe has one of the two
        self.model = model
        """The model's config, from the recipe or from its initial weights."""
        self.vocabulary = replace(Vocabulary.of(tokenizer), padding=rows - tokenizer.vocab_size)
        self._require_fit(recipe, width)
        # Needed only at the very end, but a long run must not depend on a newer nlptool installed by then.
        self.model.hf()
        with shapes_only():
            self.shape = self.objective(None if self.origin else needs.shallow(self.model.layers))
        self.state = (
            {}
            if self.pretrained is None
            else initial_weights.state(self.pretrained, recipe.init_from, self.shape, self.model, tokenizer)
        )
        if self.teacher is not None:
            student_init.require_heads(self.teacher, self.shape)
        self.stages = [
            (stage, self.stores.examples(self.shape, "train", stage.sequence_length, recipe.seed))
            for stage in recipe.train.plan()
        ]
        self.steps, self.seconds = self._duration()
        self.trained_positions = max(stage.sequence_length for stage, _ in self.stages)
        """Number of positions that training has reached at the end of the run."""
        if self.pretrained is not None:
            folder = None if self.teacher is None else self.teacher.folder
            before = initial_weights.trained_positions(recipe.init_from, folder, self.pretrained.config)
            self.trained_positions = max(self.trained_positions, before)

    def _require_fit(self, recipe: Recipe, width: int | None) -> None:
        """Raise DataError where weights, teacher or vectors have another shape than the recipe needs."""
        if self.pretrained is not None:
            problems = check_model(recipe.objective, recipe.train, self.model)
            if problems:
                raise DataError(
                    f"{self.origin}: {problems[0].path}: {problems[0].message.partition('; set ')[0]}",
                    hint="its weights have this shape, which no key changes: name another model, or set train and "
                    "objective to fit it",
                )
        if self.teacher is not None:
            longest = max(stage.sequence_length for stage in recipe.train.plan())
            student_init.require_fit(self.teacher, recipe.objective, self.model, longest)
        if width is not None and (entity_size := self.model.model_dump().get("entity_size")) != width:
            raise DataError(
                f"{recipe.entity_embeddings}: the vectors have width {width}, and model.entity_size is {entity_size}",
                hint=f"model.entity_size={width}, or name other vectors",
            )

    def unreached(self) -> list[str]:
        """A note on positions that no row reaches."""
        positions = self.model.max_positions
        if self.trained_positions >= positions:
            return []
        return [
            f"the model has {positions:,} positions and rows reach {self.trained_positions:,}: those beyond are not "
            "trained, so longer texts will be read badly; add a stage of longer rows (train.stages), or set "
            f"model.max_positions={self.trained_positions}"
        ]

    def remarks(self) -> list[str]:
        """Notes to show before the run."""
        longest = parts_of(max(self.stages, key=lambda pair: pair[0].sequence_length)[1])
        return [
            *(note for part in longest for note in self.shape.left_out(part)),
            *self.unreached(),
            *self.fresh(),
            *self.moved(),
        ]

    def fresh(self) -> list[str]:
        """A note on parts that the initial weights lack."""
        if self.pretrained is None:
            return []
        given = {key.partition(".")[0] for key in self.state}
        parts = [
            name for name, part in self.shape.named_children() if name not in given and part.state_dict()
        ]
        new = self.model.new_parts
        parts += [name.rstrip(".") for name in new if not any(key.startswith(name) for key in self.state)]
        return [f"{self.origin} has no {', '.join(parts)}: random weights to begin with"] if parts else []

    def moved(self) -> list[str]:
        """A note on stages that do not begin at their shares, after a resume with another number of steps."""
        if self.first_steps == first_steps(self._shares, self.steps, FRESH):
            return []
        steps = ", ".join(f"{first:,}" for first in self.first_steps)
        return [f"stages that have begun stay where they began: they begin after step {steps}"]

    def objective(self, depth: int | None = None) -> Objective:
        """A new objective with random weights, including its teacher's, on torch's default device.

        depth: number of layers, if it differs from the recipe's.
        """
        model = self.model if depth is None else self.model.model_copy(update={"layers": depth})
        teacher = None if self.teacher is None else self.teacher.pretrained.config
        objective = self.objective_config.build(model, self.vocabulary, teacher)
        objective.entities = self.entities
        for part in objective.modules():
            if isinstance(part, Layers):
                part.recompute = self.train.activation_checkpointing
        return objective

    @property
    def first_steps(self) -> list[int]:
        """First step, from 0, of each stage."""
        return first_steps(self._shares, self.steps, self.begun)

    def batches(self, objective: Objective, world: DistributedContext) -> Batches:
        """The run's batches, stage by stage."""
        stages = [
            Stage(first, stage.batch_size, examples)
            for first, (stage, examples) in zip(self.first_steps, self.stages, strict=True)
        ]
        for stage, _ in self.stages:
            world.require_equal_parts(stage.batch_size, self.train.gradient_accumulation)
        return Batches(
            stages,
            objective.collate,
            seed=self.seed,
            rank=world.rank,
            world=world.size,
            accumulate=self.train.gradient_accumulation,
        )

    def source(self, objective: Objective, world: DistributedContext) -> PrefetchingLoader:
        """The run's batches, prefetched; with cached outputs of the teacher, if there is a cache."""
        batches = self.batches(objective, world)
        if not objective.keeps_teacher:
            return PrefetchingLoader(batches, world.device)
        (stage, examples), *others = self.stages
        epoch = len(examples) // stage.batch_size
        if others or not epoch:
            why = "stages cut other rows" if others else "the store has not the rows of a single step"
            raise UsageError(
                f"objective.cache_top_k: {why}, so the cache would never be read",
                hint="objective.cache_top_k=0",
            )
        again = RepeatedEpochs(batches, epoch, self.seed)
        folder, parts = self.out / "teacher", self.train.gradient_accumulation
        return TeacherCache(again, objective.teacher_outputs, folder, world, parts, self.vocabulary.rows)

    def held_out(self, objective: Objective, world: DistributedContext) -> Batches | None:
        """Held-out batches, at the first stage's length; None without held-out rows."""
        stage, _ = self.stages[0]
        if not self.stores.has_held_out:
            return None
        try:
            examples = self.stores.examples(objective, "heldout", stage.sequence_length, HELD_OUT_SEED)
        except DataError as error:
            raise DataError(
                f"{self.store.path}: held-out split: {error.message}",
                hint="make the store again with a larger share held out, e.g. heldout=0.1, or with none, heldout=0, "
                "which measures no held-out loss",
            ) from error
        return self._held_out_batches(objective, examples, world) if len(examples) else None

    def held_out_by_store(self, objective: Objective, world: DistributedContext) -> dict[str, Batches]:
        """Held-out batches of each store that has any, if a run has several."""
        found = {}
        for name, store in self.stores.by_name.items() if self.stores.mixed else ():
            if not len(split := store.split("heldout")):
                continue
            examples = objective.examples(split, self.stages[0][0].sequence_length, HELD_OUT_SEED)
            if len(examples):
                found[name] = self._held_out_batches(objective, examples, world)
        return found if len(found) > 1 else {}

    def _held_out_batches(
        self, objective: Objective, examples: Examples, world: DistributedContext
    ) -> Batches:
        stage = Stage(0, min(self.stages[0][0].batch_size, len(examples)), examples)
        return Batches([stage], objective.collate, seed=HELD_OUT_SEED, rank=world.rank, world=world.size)

    def export(self, objective: Objective, path: Path) -> None:
        """Write the model and its tokenizer as a Hugging Face folder, a second model into a subfolder."""
        for name, spec in objective.folders(self.model).items():
            folder = path / name
            folder.mkdir(exist_ok=True)
            state = spec.state
            if self.pretrained is None or not has_distinct_types(self.pretrained.state):
                parts = [part for _, rows in self.stages for part in parts_of(rows)]
                state = with_types(state, max(map(objective.segment_types, parts)))
            spec._replace(state=state).save(folder, self.tokenizer, self.trained_positions)

    @cached_property
    def estimate(self) -> Estimate:
        """The estimate for the stage with the longest sequences, and so for the run."""
        return self.estimate_of(max(self.stages, key=lambda pair: pair[0].sequence_length)[0])

    def estimate_of(self, stage: StageBlock, rows: int | None = None) -> Estimate:
        """The estimate of a stage with micro-batches of `rows`; None: those of the recipe.

        The first call takes a second or two, since torch's meta device imports the compiler. Estimates are cached.
        """
        shape = (rows or stage.batch_size // self.train.gradient_accumulation, stage.sequence_length)
        if shape not in self._estimates:
            self._estimates[shape] = needs.estimate_of(self, *shape)
        return self._estimates[shape]

    def cost(self, objective: Objective, device: torch.device) -> StepFlops:
        """FLOPs of a training step with a micro-batch."""
        return StepFlops(objective, {stage.sequence_length: rows for stage, rows in self.stages}, device)

    @cached_property
    def flops_per_step(self) -> float:
        """Mean FLOPs of a step over the run."""
        return sum(s.share * s.batch_size * self.estimate_of(s).flops_per_row for s, _ in self.stages)

    @property
    def tokens_per_step(self) -> float:
        """Mean real tokens of a step over the run, special ones included."""
        stages = (stage for stage, _ in self.stages)
        return sum(
            s.share * s.batch_size * tokens for s, tokens in zip(stages, self._tokens_per_row, strict=True)
        )

    @property
    def epochs_per_step(self) -> float:
        """Mean number of passes over the examples in a step; each stage has its own examples."""
        return sum(stage.share * stage.batch_size / max(len(examples), 1) for stage, examples in self.stages)

    @cached_property
    def _tokens_per_row(self) -> list[float]:
        """Mean real tokens of a row of each stage, from a sample of its rows."""
        found = []
        for stage, examples in self.stages:
            if not len(examples):  # it will be refused
                return [float(stage.sequence_length) for stage, _ in self.stages]
            rows = np.arange(max(64, min(MEASURED, (MEASURED << 9) // stage.sequence_length)))
            sample = examples.take(rows * len(examples) // len(rows), rows * 0, RandomStreams(self.seed, 0))
            found.append(self.shape.tokens(sample) / len(rows))
        return found

    def _duration(self) -> tuple[int, float | None]:
        """Steps, and the seconds that end the run if its budget is one of time."""
        train = self.train
        if train.budget is None:
            assert train.steps is not None  # the recipe has one of the two
            return train.steps, None
        if train.budget.measure == "seconds":
            return ENDLESS, train.budget.amount
        amount = train.budget.amount
        if train.budget.measure == "epochs":
            costs = [s.batch_size / max(len(examples), 1) for s, examples in self.stages]
        elif train.budget.measure == "flops":
            costs = [s.batch_size * self.estimate_of(s).flops_per_row for s, _ in self.stages]
        else:
            batches = (stage.batch_size for stage, _ in self.stages)
            costs = [rows * tokens for rows, tokens in zip(batches, self._tokens_per_row, strict=True)]
        return steps_for(amount, costs, self._shares, self.begun), None

    @property
    def _shares(self) -> list[float]:
        return [stage.share for stage, _ in self.stages]


def _initial_weights(
    recipe: Recipe, tokenizer: Tokenizer, store: str, teacher: student_init.PretrainedTeacher | None
) -> Pretrained | None:
    """The pretrained initial weights of the recipe, if any."""
    if recipe.init_from is not None:
        return initial_weights.read(recipe.init_from, tokenizer, store, extend=True)
    if recipe.student is not None and teacher is not None:
        return student_init.initial_student(teacher, recipe.student.layers, recipe.student.name)
    return None
