"""Implementation of `distill-task`: a fine-tuned teacher, a student, two stages, and a comparison.

OUT/recipe.yaml, command.txt, environment.json   as in every run folder
OUT/rows/                  encoded rows, with their copies
OUT/start/                 the student before its first step, where it is made of the teacher's layers
OUT/teacher.npy, .json     the teacher's logits of the training rows, and of how much of each
OUT/intermediate/seed-N/   the first stage, a run folder
OUT/prediction/seed-N/     the second stage, as of finetune; its final/ is the student
OUT/baseline_student/seed-N/   the same without a teacher, on the rows as they are, OUT/baseline_student/rows/
and what nlptool.commands.distill_task.comparison writes.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nlptool.commands.distill_task import comparison
from nlptool.commands.distill_task.recipe import Recipe
from nlptool.commands.distill_task.setup import (
    initial_student,
    intermediate_objective,
    open_teacher,
    prepare,
    require,
    student_setup,
)
from nlptool.commands.distill_task.teacher import FinetunedTeacher
from nlptool.commands.finetune import results
from nlptool.commands.finetune import run as finetuning
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console, Options
from nlptool.data.batches import PrefetchingLoader
from nlptool.data.length_bucketing import SequentialBatches
from nlptool.errors import UsageError
from nlptool.formatting import counted, each, significant
from nlptool.metric_table import listed
from nlptool.models import hub, huggingface
from nlptool.models.layers import Layers
from nlptool.objectives.base import Objective
from nlptool.recipe import Change, kept
from nlptool.runs import folder, launch, machine, run_state
from nlptool.runs.job import RunConfig, TrainingJob
from nlptool.runs.launch import RunContext
from nlptool.runs.loop import open_run, train_job
from nlptool.train.config import FinetuneConfig, Save
from nlptool.train.estimate import shapes_only
from nlptool.train.interrupts import SignalHandler
from nlptool.train.trainer import State, held_out

STAGES = ("intermediate", "prediction")
PART = 1024  # most tokens of a batch where layers are compared, since the rows of a part are padded to its longest


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Distil with each seed, to the end or to a signal, and compare the student with its teacher."""
    with launch.ranks(console) as context:
        result = _Runs(recipe, options, context).all()
        if options.json:
            console.json(result)
        else:
            comparison.report(result, console)


class _Runs:
    """One process's part in all runs of a recipe."""

    def __init__(self, recipe: Recipe, options: Options, context: RunContext) -> None:
        self.recipe, self.context, self.out = recipe, context, Path(recipe.out)
        self.console, self.world, self.signals = context
        for stage, train in (("intermediate", recipe.intermediate), ("prediction", recipe.prediction)):
            if train is not None:
                launch.require_device(train, self.world, stage)
        self.source = self.world.on_rank0(
            lambda: folder.prepare_output_folder(self.out, options, recipe=recipe)
        )
        self.options = replace(options, resume="auto" if options.resume else None, overwrite=False)
        self.teacher = open_teacher(recipe)
        require(recipe, self.teacher)
        self.teacher.objective.to(self.world.device)
        self.start = initial_student(recipe, self.out)
        self.finished = False
        self.world.on_rank0(lambda: self._begin(overwrite=options.overwrite))

    def all(self) -> dict[str, Any]:
        """Run every stage with every seed, and return the results."""
        recipe = self.recipe
        starts = dict.fromkeys(recipe.seeds, self.start)
        if recipe.intermediate is not None:
            setup = self._setup(recipe.intermediate, self.start, "intermediate")
            starts = {
                seed: self._train_intermediate(setup, recipe.intermediate, seed) for seed in recipe.seeds
            }
        setups = {seed: self._setup(recipe.prediction, start, "prediction") for seed, start in starts.items()}
        setup = setups[recipe.seeds[0]]
        self.world.on_rank0(lambda: setup.remark(self.console))
        logits_NW = self.teacher.training_logits(setup, self.out, self.context)
        self.console.note(f"{setup.out}: prediction layer")
        found = {"student": [self._tune(setups[seed], seed, logits_NW) for seed in recipe.seeds]}
        if recipe.baseline_student:
            found["baseline_student"] = self._baselines(setup.steps, setup.epoch)
        kept = self.world.on_rank0(lambda: comparison.kept(found, self.out) if self.finished else None)
        if kept is not None:
            return kept
        teacher: dict[str, float] = {}
        for split in setup.task.validation:
            teacher |= setup.figures(split, self.teacher.predict_split(setup, split, self.context))
        subjects = {"teacher": self.teacher.objective, "student": setup.objective().to(self.world.device)}
        return self.world.on_rank0(lambda: comparison.measured(setup, subjects, teacher, found, self.out))

    def _setup(self, train: FinetuneConfig, start: str, stage: str) -> FinetuneSetup:
        """The student of a stage with its rows; the baseline student has no copies, whose labels may be wrong."""
        setup, rows = student_setup(self.recipe, train, start, self.out / stage), self.out / "rows"
        if stage == "baseline_student" and self.recipe.augment is not None:
            rows = self.out / stage / "rows"
            self.world.on_rank0(lambda: setup.encode(rows, self.console))
        setup.open(rows)
        return setup

    def _train_intermediate(self, setup: FinetuneSetup, train: FinetuneConfig, seed: int) -> str:
        """The first stage; returns the folder of its result."""
        out = self.out / "intermediate" / f"seed-{seed}"
        later = {"prediction": FinetuneConfig(), "baseline_student": False}  # they have no effect here
        recipe = self.recipe.model_copy(update={"seeds": (seed,), "out": str(out), **later})
        final = out / "final"
        if run_state.has_ended(out):
            recorded = folder.recorded_digests(self.out)
            finetuning.require_same(kept(out, Recipe), recipe, out, self._models(), recorded)
            self.console.note(f"{out}: is finished")
            return str(final)
        every = recipe.evaluate.every or setup.epoch
        config = RunConfig(recipe, out, train, every, Save(every=every, keep_last=1), recipe.track, seed)
        point = open_run(config, self.options, self.context)
        train_job(config, self._intermediate_job(setup, train, seed), point, self.context, overwrite=False)
        return str(final)

    def _intermediate_job(self, setup: FinetuneSetup, train: FinetuneConfig, seed: int) -> TrainingJob:
        own, world = setup.objective(), self.world
        huggingface.load(own, setup.state)
        for part in own.modules():
            if isinstance(part, Layers):
                part.recompute = train.activation_checkpointing
        objective = intermediate_objective(own, self.teacher.objective)
        layers = ", ".join(map(str, objective.layers))
        self.console.note(f"{setup.out}: layers as the teacher's {layers}")
        self.console.note(f"seed {seed}: {counted(setup.steps, 'steps')}")

        def evaluate(state: State, signals: SignalHandler) -> dict[str, float]:
            rows = setup.splits[setup.task.validation[0]]
            size = train.batch_size // train.gradient_accumulation
            source = SequentialBatches(rows, objective.collate, batch=size, rank=world.rank, world=world.size)
            return held_out(state, objective, source, len(source), train, world, signals)

        return TrainingJob(
            objective=objective,
            batches=PrefetchingLoader(setup.batches(objective, seed, world, most=PART), world.device),
            evaluate=evaluate,
            steps=setup.steps,
            seconds=None,
            cost=setup.cost(objective, world.device),
            export=lambda path: setup.export(own, path),
            rates=setup.rates,
        )

    def _tune(
        self, setup: FinetuneSetup, seed: int, teacher_logits_NW: Tensor | None = None
    ) -> dict[str, Any]:
        """The second stage: fine-tuning to the teacher's logits, or to the labels where there are none."""
        tuning = self.recipe.tuning(setup.train, setup.start, setup.out)
        return finetuning.one_seed(tuning, setup, seed, self.options, self.context, teacher_logits_NW)

    def _baselines(self, steps: int, epoch: int) -> list[dict[str, Any]]:
        """The student without its teacher: original rows, their labels, and as many steps as both stages.

        epoch: steps of the student's epoch, which may include copies; after as many steps both are evaluated, and
        the best may be chosen.
        """
        recipe = self.recipe
        if recipe.intermediate is not None:
            steps += self._setup(recipe.intermediate, self.start, "intermediate").steps
        setup = self._setup(
            recipe.prediction.model_copy(update={"steps": steps}), self.start, "baseline_student"
        )
        setup.epoch = epoch
        self.console.note(f"{setup.out}: the same student without a teacher")
        return [self._tune(setup, seed) for seed in recipe.seeds]

    def _begin(self, *, overwrite: bool) -> None:
        """Record the start, initialise the student and encode the rows."""
        recipe, models = self.recipe, self._models()
        if self.source is not None and (self.out / "recipe.yaml").exists():
            ahead = [stage for at, stage in enumerate(STAGES) if not self._have_begun(STAGES[at:])]
            changed = folder.check_resume(self.out, recipe, models, ahead)
            self._require_finished_alike(changed)
            folder.report_changes(changed, self.console)
            self.finished = not changed and (self.out / comparison.SCORES).exists()
        facts = machine.environment(finetuning.PACKAGES, self.world) | {"models": folder.digests(models)}
        if self.source is None:
            folder.create_run_folder_with(self.out, recipe, facts, self._prepare, overwrite=overwrite)
        else:
            folder.create_run_folder(self.out, recipe, facts, overwrite=False, finished=self.finished)
            self._prepare(self.out)

    def _prepare(self, out: Path) -> None:
        prepare(self.recipe, self.teacher, out, self.console)

    def _models(self) -> dict[str, Path]:
        """The models that the runs start from or read."""
        recipe, found = self.recipe, {"teacher": self.teacher.setup.folder}
        if recipe.init_from is not None:
            found["init_from"] = hub.folder(recipe.init_from)
        if recipe.augment is not None and recipe.augment.model is not None:
            found["augment.model"] = hub.folder(recipe.augment.model)
        return found

    def _have_begun(self, stages: Sequence[str]) -> bool:
        return any(list(self.out.glob(f"{stage}/seed-*")) for stage in (*stages, "baseline_student"))

    def _require_finished_alike(self, changed: Sequence[Change]) -> None:
        """Raise UsageError where a finished stage was trained in another way."""
        for stage, done in (("intermediate", "final"), ("prediction", "scores.json")):
            own = [change for change in changed if change.path.startswith(f"{stage}.")]
            for finished in self.out.glob(f"{stage}/seed-*/{done}") if own else ():
                raise UsageError(
                    f"{finished.parent}: is finished, but was trained with another recipe:{folder.format_changes(own)}",
                    hint="put these back, start again with --overwrite, or choose another --out",
                )


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Read and check every row, then show what the runs would take; writes nothing."""
    teacher = open_teacher(recipe)
    require(recipe, teacher)
    brief = recipe
    if recipe.augment is not None:  # about as many copies, without running the masked language model
        brief = recipe.model_copy(update={"augment": recipe.augment.model_copy(update={"model": None})})
    with tempfile.TemporaryDirectory() as aside:
        out = Path(aside)
        prepare(brief, teacher, out, console)
        start = initial_student(brief, out)
        stages = {"intermediate": recipe.intermediate, "prediction": recipe.prediction}
        setups = {name: student_setup(recipe, train, start, out) for name, train in stages.items() if train}
        for setup in setups.values():
            setup.open(out / "rows")
        facts: dict[str, Any] = {
            "rows": {name: split.count for name, split in setup.splits.items()},
            "cut": results.cuts(setup),
            "parameters": {"teacher": _size(teacher.setup), "student": _size(setup)},
            "steps": {name: setup.steps for name, setup in setups.items()},
            "seeds": len(recipe.seeds),
            "flops": {name: len(recipe.seeds) * _flops(one, name, teacher) for name, one in setups.items()},
            "baseline": setup.baseline(),
        }
    if options.json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    baseline = ", and as many without a teacher" if recipe.baseline_student else ""
    shown = {
        "rows": ", ".join(f"{name} {count:,}" for name, count in facts["rows"].items()),
        **results.shown_cuts(facts["cut"]),
        "parameters": ", ".join(f"{name} {number:,}" for name, number in facts["parameters"].items()),
        "steps": " + ".join(f"{n:,}" for n in facts["steps"].values())
        + f" with {each(facts['seeds'], 'seeds')}{baseline}",
        "FLOPs": " + ".join(map(significant, facts["flops"].values()))
        + ", without the teacher's one reading of the rows",
        setup.shape.baseline_name: listed(facts["baseline"]),
    }
    console.facts("these runs would take", shown)


def _flops(setup: FinetuneSetup, stage: str, teacher: FinetunedTeacher) -> float:
    """FLOPs of one seed's stage: in the first one the teacher reads each batch, too; later its logits are cached."""
    objective: Objective = setup.shape
    if stage == "intermediate":
        with shapes_only():
            objective = intermediate_objective(setup.objective(), teacher.setup.objective())
    return setup.flops_per_row(objective) * setup.steps * setup.train.batch_size


def _size(setup: FinetuneSetup) -> int:
    return sum(parameter.numel() for parameter in setup.shape.parameters())
