"""One process's part in a training run: it goes on, logs, evaluates, saves and exports."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nlptool.commands import folder, machine
from nlptool.commands.log import Log
from nlptool.console import Console
from nlptool.data.batches import Ahead
from nlptool.errors import (
    DataError,
    NlptoolError,
    NonFiniteLoss,
    OtherRankFailed,
    Preempted,
    UsageError,
)
from nlptool.figures import counted
from nlptool.files import fault, written_aside
from nlptool.metric_table import objective_of
from nlptool.objectives.base import Objective
from nlptool.recipe import Block, Change, digest
from nlptool.train import checkpoint
from nlptool.train.config import Save, Updates
from nlptool.train.distributed import World
from nlptool.train.interrupts import Interrupts
from nlptool.train.malloc import give_back_free_memory
from nlptool.train.metrics import Metrics, Tracker, whole_lines
from nlptool.train.optim import Adam
from nlptool.train.trainer import State, Step, train

LOG_EVERY = 10  # steps; reading a figure waits for the device


@dataclass(frozen=True)
class Settings:
    """The blocks of a recipe that every training command has."""

    recipe: Block
    out: Path
    train: Updates
    evaluate_every: int
    save: Save
    track: tuple[Tracker, ...]
    seed: int


@dataclass(frozen=True)
class Job:
    """What a command brings to the loop."""

    objective: Objective
    batches: Ahead
    evaluate: Callable[[State, Interrupts], dict[str, float]] | None
    """Held-out figures; None where there is nothing to evaluate on."""
    steps: int
    seconds: float | None
    """A time budget in place of steps."""
    flops: Callable[[], Callable[[int, int], float]]
    """Gives, after the first steps, a function from steps and real tokens so far to FLOPs so far."""
    export: Callable[[Path], None]
    """Writes the finished model as a Hugging Face folder."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Learning rates of parameters as shares of the step's; 1 for those not named."""
    patience: int | None = None
    """The run ends when so many evaluations in turn have brought nothing better than the best."""
    best: bool = False
    """Whether the result is the best checkpoint, in place of the last."""
    models: Mapping[str, Path] = field(default_factory=dict)
    """Folders of models that every step reads, by the recipe's key; a run goes on with the same ones only."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    steps: int
    tokens: int
    seconds: float
    training: dict[str, float]
    heldout: dict[str, float]
    final: Path


class Session:
    """One process's part in one run."""

    def __init__(
        self, settings: Settings, job: Job, console: Console, world: World, interrupts: Interrupts
    ) -> None:
        self.settings, self.job, self.console, self.world, self.interrupts = (
            settings,
            job,
            console,
            world,
            interrupts,
        )
        module = job.objective.to(world.device)
        self.state = State(module, Adam(module, settings.train.optimizer, job.rates))
        self.folder = settings.out / "checkpoints"
        self.digest = digest(settings.recipe)
        self.first_step = 1
        self.owes = False  # whether the checkpoint that is gone on from was to be evaluated, and was not
        self.saved = self.evaluated = 0  # steps at which this was done last
        self.metrics: Metrics | None = None
        self.log = Log()
        self.flops: Callable[[int, int], float] | None = None
        self.spent = 0.0  # FLOPs up to the last line of the log
        self.training: dict[str, float] = {}
        self.heldout: dict[str, float] = {}
        self.losses: list[float] = []

    def resume(self, source: Path) -> None:
        """Take up the newest whole checkpoint of a run folder, or the very checkpoint that is named."""
        named = (source / "state.json").exists()
        run_folder = source.parent.parent if named else source
        if not (run_folder / "recipe.yaml").exists():
            raise DataError(f"{run_folder}: holds no run to go on with", hint="--overwrite starts one there")
        changed = folder.changes(run_folder, self.settings.recipe, self.job.models)
        folder.tell(changed, self.console)
        if named:
            why = fault(source)
            path, broken = (None, [checkpoint.Broken(source, why)]) if why else (source, [])
        else:
            path, broken = checkpoint.newest(run_folder / "checkpoints")
        for bad in broken:
            self.console.note(f"passed over {bad.folder}: {bad.reason}")
        if path is not None:
            checkpoint.load(self.state, path)
            self.saved = self.state.step
            self.first_step = self.state.step + 1
            self._require_left(path, changed)
            self.owes = checkpoint.heldout(path) is None and self._is_due(self.state.step)
            if self.job.patience is not None:
                self.losses = self._losses(run_folder / "metrics.jsonl")
            of = f" of {self.job.steps:,}" if self.job.seconds is None else ""
            self.console.note(f"going on from {path}, step {self.state.step:,}{of}")
        elif broken:
            raise DataError(f"{run_folder}: no whole checkpoint", hint="--overwrite starts again")
        else:
            self.console.note(f"{run_folder} holds no checkpoint yet; starting at step 0")

    def _require_left(self, path: Path, changed: Sequence[Change]) -> None:
        """Raise UsageError where a run has all its steps already, and would be said to be another recipe's."""
        step, steps = self.state.step, self.job.steps
        if self.job.seconds is not None or step < steps:
            return
        if step > steps:
            raise UsageError(
                f"{path}: has gone further already than the {counted(steps, 'steps')} asked for",
                hint="ask for as many or more, resume an earlier checkpoint, or choose another --out",
            )
        if others := [change for change in changed if change.path != "track"]:
            raise UsageError(
                f"{path}: has all its {counted(steps, 'steps')}, and nothing is left to be done with another"
                f"{folder.told(others)}",
                hint="put these back, ask for more steps, or choose another --out",
            )

    def _is_due(self, step: int) -> bool:
        """Whether a step is followed by an evaluation and a checkpoint."""
        often = (self.settings.evaluate_every, self.settings.save.every)
        return self.job.evaluate is not None and (
            any(step % every == 0 for every in often) or step == self.job.steps
        )

    def begin(self, *, overwrite: bool) -> None:
        """Write down what is run."""
        names = ("torch", "numpy", "tokenizers", "safetensors")
        device = machine.name(self.world.device)
        facts = folder.environment(names, device, self.world.size) | {"threads": torch.get_num_threads()}
        facts |= {"models": folder.digests(self.job.models)} if self.job.models else {}
        folder.start(self.settings.out, self.settings.recipe, facts, overwrite=overwrite)

    def train(self) -> Outcome:
        """Run to the end; logs, evaluates and saves on the way."""
        settings, job, state = self.settings, self.job, self.state
        with ExitStack() as stack:
            stack.callback(job.batches.close)
            written = settings.recipe.model_dump(mode="json")
            if self.world.first:
                self.metrics = stack.enter_context(Metrics(settings.out, state.step, settings.track, written))
            self.panel = stack.enter_context(
                self.console.training(
                    settings.out.name, job.steps, state.step, job.seconds, objective_of(written)
                )
            )
            try:
                if self.owes:
                    self._evaluate()
                    self._save()
                steps = train(
                    state,
                    job.objective,
                    job.batches,
                    settings.train,
                    steps=job.steps,
                    seed=settings.seed,
                    world=self.world,
                    interrupts=self.interrupts,
                    seconds=job.seconds,
                )
                while not self._patience_is_over() and (step := next(steps, None)):
                    self._after(step)
                self._write_log()
                if self.evaluated < state.step:
                    self._evaluate()
                if self.saved < state.step:
                    self._save()
            except Preempted as stop:
                raise self._stopped(stop) from None
            except OtherRankFailed as lost:
                self._rescue(lost)
                raise
            except NonFiniteLoss as error:
                raise self._not_finite(error) from None
        final = settings.out / "final"
        if job.best:
            self._take_best()
        with self.interrupts.shield():
            self.world.on_first(lambda: self._export(final))
        return Outcome(state.step, state.tokens, state.elapsed, self.training, self.heldout, final)

    def _after(self, step: Step) -> None:
        self.log.add(step)
        if step.number == self.first_step:
            give_back_free_memory()
        evaluates = step.number % self.settings.evaluate_every == 0
        saves = step.number % self.settings.save.every == 0
        if step.number % LOG_EVERY == 0 or step.number == 1 or evaluates or saves:
            self._write_log()
        if evaluates or saves:
            self._evaluate()
        if saves:
            self._save()

    def _write_log(self) -> None:
        if not self.log.norms:
            return
        figures = self.log.figures(self.state.step, self.world)
        # Not after the first step: counting takes a moment, and whoever watches wants to see a loss.
        cost = self._cost() if self.training and self.world.first else {}
        rate = None
        if "flops" in cost and self.spent:
            rate = (cost["flops"] - self.spent) * figures["tokens_per_second"] / max(self.log.tokens, 1)
        self.spent = cost.get("flops", 0.0)
        self.training = figures
        memory = machine.most_held(self.world.device)
        self._record(tokens=self.state.tokens, seconds=self.state.elapsed, memory=memory, **figures, **cost)
        self.panel.update(
            step=self.state.step,
            tokens=self.state.tokens,
            figures=figures,
            flops_per_second=rate,
            memory=memory,
            seconds_left=None if self.job.seconds is None else self.job.seconds - self.state.elapsed,
        )
        self.log = Log()

    def _cost(self) -> dict[str, float]:
        """FLOPs so far; and once, as they stay the same, parameters."""
        once = {}
        if self.flops is None:
            self.flops = self.job.flops()
            once["parameters"] = sum(parameter.numel() for parameter in self.state.module.parameters())
        return {"flops": self.flops(self.state.step, self.state.tokens), **once}

    def _evaluate(self) -> None:
        if self.job.evaluate is None:
            return
        self.panel.status("evaluating")
        self.heldout = self.job.evaluate(self.state, self.interrupts)
        self.evaluated = self.state.step
        self.losses.append(self.job.objective.loss(self.heldout))
        self._record(**{f"heldout/{name}": value for name, value in self.heldout.items()})
        for remark in self.job.objective.remarks(self.heldout):
            self.console.note(f"step {self.state.step:,}: {remark}")
        self.panel.heldout(self.heldout)
        self.log = Log()

    def _record(self, **figures: float) -> None:
        if self.metrics is not None:
            with self.interrupts.shield():
                self.metrics.write(self.state.step, **figures)

    def _save(self) -> None:
        loss = self.job.objective.loss(self.heldout) if self.heldout else None
        path = checkpoint.path_of(self.folder, self.state.step)
        with self.interrupts.shield():
            self.world.on_first(lambda: self._write(path, loss))
            self.saved = self.state.step
        self.panel.saved(path)

    def _write(self, path: Path, loss: float | None) -> None:
        try:
            checkpoint.save(self.state, path, self.digest, loss)
        except DataError as error:
            whole, _ = checkpoint.newest(self.folder)
            raise DataError(error.message, hint=f"{error.hint}; newest whole checkpoint: {whole}") from error
        checkpoint.prune(self.folder, self.settings.save.keep)

    def _patience_is_over(self) -> bool:
        if self.job.patience is None or not self.losses:
            return False
        return len(self.losses) - 1 - self.losses.index(min(self.losses)) >= self.job.patience

    def _losses(self, metrics: Path) -> list[float]:
        """What the evaluations of a run that goes on have found so far."""
        found = []
        for line in map(json.loads, whole_lines(metrics)):
            figures = {k.removeprefix("heldout/"): v for k, v in line.items() if k.startswith("heldout/")}
            if figures and line["step"] <= self.state.step:
                found.append(self.job.objective.loss(figures))
        return found

    def _take_best(self) -> None:
        """Put the weights of the best checkpoint in place of the last."""
        path = checkpoint.best(self.folder)
        if path is not None and path != checkpoint.path_of(self.folder, self.state.step):
            checkpoint.load(self.state, path)
            self.console.note(f"the best checkpoint is that of step {self.state.step:,}")

    def _export(self, final: Path) -> None:
        with written_aside(final) as aside:
            self.job.export(aside)

    def _stopped(self, stop: Preempted) -> Preempted:
        """Save what a signal left, if there is anything new."""
        if self.state.step > self.saved:
            if self.evaluated < self.state.step:
                self.heldout = {}
            self._save()
        where = checkpoint.path_of(self.folder, self.saved) if self.saved else "nowhere, as no step was taken"
        return Preempted(
            f"{stop.message} after step {self.state.step:,}; state saved: {where}",
            hint="the same command with --resume auto goes on from there",
        )

    def _rescue(self, lost: OtherRankFailed) -> None:
        """Save the state of the last whole step without the other ranks, of which one is lost."""
        if not self.world.first or self.state.step <= self.saved:
            return
        if self.evaluated < self.state.step:
            self.heldout = {}
        path = checkpoint.path_of(self.folder, self.state.step)
        self._write(path, self.job.objective.loss(self.heldout) if self.heldout else None)
        self.panel.saved(path)
        lost.hint = f"state saved: {path}; the same command with --resume auto goes on from there"
        lost.exit_code = Preempted.exit_code

    def _not_finite(self, error: NonFiniteLoss) -> NlptoolError:
        whole, _ = checkpoint.newest(self.folder)
        return NonFiniteLoss(
            f"{error.message}; last good checkpoint: {whole or 'none yet'}",
            hint="lower train.lr, lengthen train.warmup or lower train.clip, then --resume auto",
        )
