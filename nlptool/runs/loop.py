"""One process's part in a training run: it resumes, logs, evaluates, saves and exports."""

from contextlib import ExitStack
from math import inf, isfinite
from pathlib import Path

import torch

from nlptool import weights_record
from nlptool.console import Options
from nlptool.errors import DataError, NlptoolError, NonFiniteLoss, OtherRankFailed, Preempted
from nlptool.malloc import give_back_free_memory
from nlptool.manifests import atomic_folder
from nlptool.metric_table import HELD_OUT, held_out, objective_of
from nlptool.recipe import Change, digest
from nlptool.runs import folder, inventory, machine, metrics_file, model_card, resume, run_state
from nlptool.runs.averages import RunningAverages
from nlptool.runs.job import RunConfig, RunResult, TrainingJob
from nlptool.runs.launch import RunContext
from nlptool.runs.metrics_file import Metrics, last
from nlptool.runs.resume import ResumePoint
from nlptool.train import checkpoint
from nlptool.train.optim import Adam
from nlptool.train.trainer import State, Step, derive_seed, train

PACKAGES = ("torch", "numpy", "tokenizers", "safetensors")
LOG_EVERY = 10  # steps between log lines; reading a figure waits for the device


def open_run(config: RunConfig, options: Options, context: RunContext) -> ResumePoint | None:
    """Prepare the run folder, seed torch, and find the checkpoint to resume; None: start at step 0.

    Raises UsageError for a folder that may not be written, DataError for one without a usable checkpoint.
    """
    source = context.world.on_rank0(
        lambda: folder.prepare_output_folder(config.out, options, recipe=config.recipe)
    )
    point = None if source is None else resume.find(source)
    torch.manual_seed(derive_seed(config.seed))
    return point


def train_job(
    config: RunConfig, job: TrainingJob, point: ResumePoint | None, context: RunContext, *, overwrite: bool
) -> RunResult:
    """Train from the start or from a checkpoint, to the end or to a signal. point: the result of `open_run`.

    Raises Preempted with the state saved, NonFiniteLoss, DataError for a disk or checkpoint that fails.
    """
    run = TrainingRun(config, job, context)
    if point is not None:
        run.resume(point)
        if (result := run.at_end(point)) is not None:
            return result
    context.world.on_rank0(lambda: run.begin(overwrite=overwrite))
    return run.train()


class TrainingRun:
    """One process's part in one run."""

    def __init__(self, config: RunConfig, job: TrainingJob, context: RunContext) -> None:
        self.config, self.job = config, job
        self.console, self.world, self.signals = context
        module = job.objective.to(self.world.device)
        self.state = State(module, Adam(module, config.train.optimizer, job.rates))
        self.parameters = sum(parameter.numel() for parameter in module.parameters())
        self.folder = config.out / "checkpoints"
        self.digest = digest(config.recipe)
        self.models: dict[str, str] = {}  # digests; the first rank's, which saves
        self.changed: list[Change] = []  # keys of the recipe, where a run is resumed
        self.first_step = 1
        self.evaluation_due = False  # evaluation was due at the resumed checkpoint, but had not run
        self.saved = self.evaluated = self.logged = 0  # last steps at which this was done
        self.metrics: Metrics | None = None
        self.log = RunningAverages()
        self.training: dict[str, float] = {}
        self.heldout: dict[str, float] = {}
        self.losses: list[float] = []

    def resume(self, past: ResumePoint) -> None:
        """Restore the state of a run."""
        self.changed = resume.check_same_run(past, self.config.recipe, self.job.models, self.console)
        if past.path is None or past.facts is None:
            self.console.note(f"{past.run} holds no checkpoint yet; starting at step 0")
            return
        checkpoint.load(self.state, past.path)
        if past.facts.flops is None:
            self.state.flops = last(past.run, "flops", self.state.step) or 0.0
        self.saved = self.logged = self.state.step
        self.first_step = self.state.step + 1
        if self.job.seconds is None:
            resume.require_left(past, self.job.steps, self.changed)
        self.evaluation_due = past.facts.heldout is None and self._is_due(self.state.step)
        if self.job.patience is not None:
            self.losses = self._losses(past.run)
        of = f" of {self.job.steps:,}" if self.job.seconds is None else ""
        self.console.note(f"resuming from {past.path}, step {self.state.step:,}{of}")
        if self.changed:
            self.console.notes(
                resume.lr_jump(self.config.train, self.state, self.job.steps, self.job.seconds)
            )

    def at_end(self, past: ResumePoint) -> RunResult | None:
        """The result of a run with nothing left to do; its module has the weights of final/."""
        given = (past, self.config.out, self.changed, self.console, self.job.evaluate is not None)
        found = self.world.on_rank0(lambda: resume.held_out_at_end(*given))
        if found is None:
            return None
        self.heldout = found
        self.job.batches.close()
        if self.job.best:
            self._take_best()
        return self._result()

    def _is_due(self, step: int) -> bool:
        """Whether evaluation and a checkpoint are due after a step."""
        often = (self.config.evaluate_every, self.config.save.every)
        return self.job.evaluate is not None and (
            any(step % every == 0 for every in often) or step == self.job.steps
        )

    def begin(self, *, overwrite: bool) -> None:
        """Record the start of the run; remains of a later course are set aside."""
        facts = machine.environment(PACKAGES, self.world)
        about = machine.headline(facts, self.config.train.precision, self.parameters)
        self.console.note(f"{self.config.out}: {about}")
        self.models = folder.digests(self.job.models)
        facts |= {"models": self.models} if self.models else {}
        out, job = self.config.out, self.job
        if not overwrite:
            resume.set_aside(out, self.state.step, self.console)
            if self.saved:  # left by a kill between saving and pruning
                kept = checkpoint.path_of(self.folder, self.saved)
                checkpoint.prune(self.folder, self.config.save.keep_last, kept)
        folder.create_run_folder(out, self.config.recipe, facts, overwrite=overwrite)
        steps = job.steps if job.seconds is None else None
        run_state.start(out, run_state.Goal(steps, job.seconds, job.stages))

    def train(self) -> RunResult:
        """Run to the end, with logging, evaluation and checkpoints."""
        config, job, state = self.config, self.job, self.state
        with ExitStack() as stack:
            stack.callback(job.batches.close)
            written = config.recipe.model_dump(mode="json")
            if self.world.first:
                self.metrics = stack.enter_context(Metrics(config.out, state.step, config.track, written))
            self.panel = stack.enter_context(
                self.console.training(
                    config.out.name, job.steps, state.step, job.seconds, objective_of(written)
                )
            )
            try:
                self._run()
            except NonFiniteLoss as error:
                raise self._not_finite(error) from None
        ended = state.step
        if job.best:
            self._take_best()
        with self.signals.shield():
            self.world.on_rank0(lambda: self._export(ended))
        return self._result()

    def _result(self) -> RunResult:
        state, out, first = self.state, self.config.out, self.world.first
        before = metrics_file.held_out_at(out, 0) if self.job.evaluate_first and first else {}
        final = out / weights_record.FINAL
        return RunResult(state.step, state.tokens, state.elapsed, self.training, self.heldout, final, before)

    def _run(self) -> None:
        """All remaining steps. Raises Preempted with the state saved."""
        try:
            if self.job.evaluate_first and self.state.step == 0:
                self._evaluate()
            if self.evaluation_due:
                self._evaluate()
                self._save()
            steps = train(
                self.state,
                self.job.objective,
                self.job.batches,
                self.config.train,
                steps=self.job.steps,
                seed=self.config.seed,
                world=self.world,
                interrupts=self.signals,
                seconds=self.job.seconds,
                cost=self.job.cost,
            )
            while not self._patience_is_over() and (step := next(steps, None)):
                self._after(step)
            self._write_log()
            if self.evaluated < self.state.step:
                self._evaluate()
            if self.saved < self.state.step:
                self._save()
        except (Preempted, RuntimeError, ValueError, TypeError) as error:
            raise self._stopped(self.signals.behind(error)) from None
        except OtherRankFailed as lost:
            self._rescue(lost)
            raise

    def _after(self, step: Step) -> None:
        self.log.add(step, timed=step.number > self.first_step)
        if step.number == self.first_step:
            give_back_free_memory()
        evaluates = step.number % self.config.evaluate_every == 0
        saves = step.number % self.config.save.every == 0
        if step.number % LOG_EVERY == 0 or step.number == 1 or evaluates or saves:
            self._write_log()
        if evaluates or saves:
            self._evaluate()
        if saves:
            self._save()

    def _write_log(self) -> None:
        """Log the figures since the last line; a single interrupted step logs its cost."""
        if self.logged == self.state.step:
            return
        figures = self.log.figures(self.state.step, self.world) if self.log.norms else {}
        rate = self.log.flops / self.log.seconds if self.log.flops else None
        parameters = {} if self.training else {"parameters": self.parameters}  # once, since they stay
        self.training = figures
        memory = machine.peak_memory_reserved(self.world.device) or None
        spent = {"tokens": self.state.tokens, "flops": self.state.flops, "seconds": self.state.elapsed}
        with self.signals.shield():
            self._record(**spent, **({} if memory is None else {"memory": memory}), **figures, **parameters)
            self.logged = self.state.step
        self.panel.update(
            step=self.state.step,
            tokens=self.state.tokens,
            figures=figures,
            flops_per_second=rate,
            memory=memory,
            seconds_left=None if self.job.seconds is None else self.job.seconds - self.state.elapsed,
        )
        self.log = RunningAverages()

    def _evaluate(self) -> None:
        """Held-out figures. Raises NonFiniteLoss where one is not finite."""
        if self.job.evaluate is None:
            return
        self.panel.status("evaluating")
        found = self.job.evaluate(self.state, self.signals)
        with self.signals.shield():
            self.heldout, self.evaluated = found, self.state.step
            self.losses.append(self.job.objective.loss(found))
            self._record(**{f"{HELD_OUT}{name}": value for name, value in found.items()})
        for remark in self.job.objective.remarks(self.heldout):
            self.console.note(f"step {self.state.step:,}: {remark}")
        self.panel.heldout(self.heldout)
        if bad := [name for name, value in self.heldout.items() if not isfinite(value)]:
            raise NonFiniteLoss(f"step {self.state.step:,}: held-out {', '.join(bad)} is not finite")
        self.log = RunningAverages()

    def _record(self, **figures: float) -> None:
        if self.metrics is not None:
            with self.signals.shield():
                self.metrics.write(self.state.step, **figures)

    def _save(self) -> None:
        loss = self.job.objective.loss(self.heldout) if self.heldout else None
        path = checkpoint.path_of(self.folder, self.state.step)
        with self.signals.shield():
            self.world.on_rank0(lambda: self._write(path, loss))
            self.saved = self.state.step
        self.panel.saved(path)
        self.log = RunningAverages()

    def _write(self, path: Path, loss: float | None) -> None:
        try:
            scheduled = self.state.step % self.config.save.every == 0
            checkpoint.save(
                self.state, path, self.digest, loss, self.job.stages, self.models, scheduled=scheduled
            )
        except DataError as error:
            whole, _ = checkpoint.newest(self.folder)
            left = f"newest whole checkpoint: {whole}" if whole else "no checkpoint was saved before"
            raise DataError(error.message, hint="; ".join(filter(None, (error.hint, left)))) from error
        checkpoint.prune(self.folder, self.config.save.keep_last, path)

    def _patience_is_over(self) -> bool:
        if self.job.patience is None or not self.losses:
            return False
        return len(self.losses) - 1 - self.losses.index(min(self.losses)) >= self.job.patience

    def _losses(self, run: Path) -> list[float]:
        """The losses of a resumed run's evaluations so far."""
        found = []
        for line in metrics_file.read(run):
            if (figures := held_out(line)) and line["step"] <= self.state.step:
                loss = self.job.objective.loss(figures)
                found.append(loss if isfinite(loss) else inf)
        return found

    def _take_best(self) -> None:
        """Replace the last weights by those of the best checkpoint."""
        path, broken = checkpoint.best(self.folder)
        for bad in broken:
            self.console.note(f"skipped {bad.folder}, whose held-out loss is lower: {bad.reason}")
        if path is not None and path != checkpoint.path_of(self.folder, self.state.step):
            checkpoint.load(self.state, path)
            self.console.note(f"the best checkpoint is that of step {self.state.step:,}")

    def _export(self, ended: int) -> None:
        """Write final/, then record that the run has ended."""
        with atomic_folder(self.config.out / "final") as aside:
            self.job.export(aside)
            for model in (aside, *(path for path in aside.iterdir() if path.is_dir())):
                weights_record.stamp(model, weights_record.Stamp(self.state.step, ended))
            if self.job.model_card:
                recipe = self.config.recipe.model_dump(mode="json")
                if why := model_card.write_at_end(aside, self.config.out, self.state.step, recipe):
                    self.console.note(f"final/ has no model card: {why}")
            if (self.config.out / "final").is_dir():
                inventory.keep_foreign(self.config.out / "final", aside)
        run_state.finish(self.config.out, ended)

    def _stopped(self, stop: Preempted) -> Preempted:
        """Save the state after a signal, if there is anything new."""
        if self.state.step > self.saved:
            self._write_log()
            if self.evaluated < self.state.step:
                self.heldout = {}
            self._save()
        where = checkpoint.path_of(self.folder, self.saved) if self.saved else "nowhere, as no step was taken"
        return Preempted(
            f"{stop.message} after step {self.state.step:,}; state saved: {where}",
            hint="the same command with --resume auto continues from there",
        )

    def _rescue(self, lost: OtherRankFailed) -> None:
        """Save the state of the last whole step without the other ranks, one of which is lost."""
        if not self.world.first or self.state.step <= self.saved:
            return
        if self.evaluated < self.state.step:
            self.heldout = {}
        path = checkpoint.path_of(self.folder, self.state.step)
        self._write(path, self.job.objective.loss(self.heldout) if self.heldout else None)
        self.panel.saved(path)
        lost.hint = f"state saved: {path}; the same command with --resume auto continues from there"
        lost.exit_code = Preempted.exit_code

    def _not_finite(self, error: NonFiniteLoss) -> NlptoolError:
        whole, _ = checkpoint.newest(self.folder)
        return NonFiniteLoss(
            f"{error.message}; last good checkpoint: {whole or 'none yet'}",
            hint="lower train.lr, lengthen train.warmup or lower train.max_grad_norm, then --resume auto",
        )
