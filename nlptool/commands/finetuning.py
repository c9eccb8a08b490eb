"""The heavy half of `finetune`: from a checked recipe to rows, a net with a head, runs and scores.

OUT/recipe.yaml, command.txt, environment.json   as in every run folder
OUT/rows/                   encoded rows, for all seeds
OUT/seed-N/                 a run folder; its final/ is the best checkpoint
OUT/seed-N/predictions/     SPLIT.jsonl: row, label, prediction, scores
OUT/seed-N/submission/      files for a benchmark's server, where the task has them
OUT/seed-N/scores.json      what this seed reached
OUT/scores.json             all seeds, their mean and spread, and the majority baseline
"""

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nlptool import flops, registry
from nlptool.commands import folder, hub, labelled, training
from nlptool.commands.finetune import Recipe, check_task
from nlptool.commands.training import Job, Outcome, Settings
from nlptool.console import Console, Options
from nlptool.data import inputs
from nlptool.data.batches import Ahead
from nlptool.data.bucketed import Bucketed, InTurn
from nlptool.data.inputs import Inputs
from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError, UsageError
from nlptool.evaluate import metrics
from nlptool.models import huggingface
from nlptool.models.config import EncoderConfig
from nlptool.models.layers import Layers
from nlptool.models.rates import layer_rates
from nlptool.recipe import difference, loads
from nlptool.tasks.base import TaskObjective
from nlptool.text.tokenizer import Tokenizer
from nlptool.train.config import Save
from nlptool.train.distributed import World
from nlptool.train.estimate import estimate, shapes_only
from nlptool.train.interrupts import Interrupts
from nlptool.train.trainer import State, predictions

KEPT = ("backbone", "pooler")  # parts of the pretrained net; heads start fresh


class Plan:
    """A recipe with its net and rows: all that the runs share.

    Raises DataError when net, tokenizer and rows do not go together, UsageError when the recipe asks of them what
    they do not have.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.task = recipe, recipe.config
        metrics.require(self.task.metrics)
        start = hub.folder(recipe.start)
        self.tokenizer = Tokenizer.load(start)
        inputs.special(self.tokenizer)
        pretrained = huggingface.load_pretrained(start)
        problems = check_task(self.task, pretrained.config)
        if problems:
            raise DataError(f"{recipe.start}: {problems[0].message}")
        if self.tokenizer.vocab_size > pretrained.vocab_size:
            raise DataError(
                f"{recipe.start}: the tokenizer has {self.tokenizer.vocab_size:,} tokens, the net only "
                f"{pretrained.vocab_size:,}"
            )
        self.vocabulary = replace(Vocabulary.of(self.tokenizer), size=pretrained.vocab_size)
        self.state = {k: t for k, t in pretrained.state.items() if k.partition(".")[0] in KEPT}
        self.model = _with_dropout(pretrained.config, recipe)
        if recipe.train.length > self.model.positions:
            raise UsageError(
                f"train.length: {recipe.train.length} tokens are more than the net's {self.model.positions} positions"
            )
        with shapes_only():
            self.shape = self.objective()
        self.rates = self._rates()

    def open(self, rows: Path) -> None:
        """Take up the rows that labelled.prepare has written."""
        length = self.recipe.train.length
        self.splits: dict[str, Inputs] = {
            name: self.shape.examples(split, length, 0) for name, split in labelled.opened(rows).items()
        }
        train = self.recipe.train
        rows_ = len(self.splits[self.task.train])
        self.epoch = max(1, math.ceil(rows_ / train.batch))
        self.steps = train.steps or max(1, math.ceil(train.epochs * rows_ / train.batch))

    def objective(self) -> TaskObjective:
        """A new net with random weights, on the device that torch makes tensors on."""
        name = str(self.task.model_dump()["name"])
        made: TaskObjective = registry.load("tasks", name, "objective").build(
            self.task, self.model, self.vocabulary, self.recipe.dropout.head
        )
        return made

    def batches(self, objective: TaskObjective, seed: int, world: World) -> Bucketed:
        """A run's batches."""
        train, rows = self.recipe.train, self.splits[self.task.train]
        if train.batch % (world.size * train.accumulate):
            raise UsageError(
                f"train.batch: {train.batch} sequences cannot be shared out evenly to {world.size} ranks "
                f"with {train.accumulate} micro-batches each",
                hint="choose a batch that ranks times accumulate divides",
            )
        return Bucketed(
            rows,
            rows.lengths,
            objective.collate,
            batch=train.batch,
            steps=self.steps,
            seed=seed,
            rank=world.rank,
            world=world.size,
            accumulate=train.accumulate,
        )

    def said(
        self, objective: TaskObjective, split: str, world: World, interrupts: Interrupts
    ) -> NDArray[np.float64]:
        """What the net says of each row of a split, [N, width]."""
        rows, train = self.splits[split], self.recipe.train
        size = train.batch // train.accumulate
        source = InTurn(rows, rows.lengths, objective.collate, batch=size, rank=world.rank, world=world.size)
        shape = (len(rows), objective.width)
        told = predictions(objective, objective.predict, source, len(source), shape, train, world, interrupts)
        return told.numpy()

    def figures(self, split: str, said: NDArray[np.float64]) -> dict[str, float]:
        """Mean loss and metrics of what a net says of a split."""
        labels, objective = self.splits[split].labels, self.shape
        cost = objective.cost(torch.from_numpy(said), torch.from_numpy(labels)).item()
        (term,) = objective.weights
        found = {term: cost / len(labels)}
        decided = objective.decide(said)[:, 0]
        if not np.isfinite(said).all():  # of a net that has diverged; the largest of its numbers says nothing
            decided = np.full_like(decided, np.nan, dtype=np.float64)
        found |= metrics.scores(self.task.metrics, decided, labels[:, 0])
        return self._named(split, found)

    def baseline(self) -> dict[str, float]:
        """What the most frequent training label, or the mean, would score."""
        known = metrics.baseline(self.splits[self.task.train].labels[:, 0], classes=self.shape.width > 1)
        found: dict[str, float] = {}
        for split in self.task.validation:
            labels = self.splits[split].labels[:, 0]
            found |= self._named(
                split, metrics.scores(self.task.metrics, np.full_like(labels, known), labels)
            )
        return found

    def export(self, objective: TaskObjective, path: Path) -> None:
        """Write the model and its tokenizer as a Hugging Face folder."""
        made = objective.folders(self.model)[""]
        huggingface.save_pretrained(path, made.config, made.state, self.tokenizer.special, made.settings)
        self.tokenizer.save(path, max_length=self.model.positions)

    def flops_per_token(self, objective: TaskObjective, world: World) -> float:
        """Of a training step, counted on one row."""
        rows = self.splits[self.task.train]
        (batch,) = Bucketed(rows, rows.lengths, objective.collate, batch=1, steps=1, seed=0).get(0)
        with torch.no_grad(), flops.counting() as count:
            objective(batch.to(world.device))
        return flops.STEP * count.operations / batch.tokens

    def _named(self, split: str, found: dict[str, float]) -> dict[str, float]:
        """Figures of the first validation split by their names, of others with the split's in front."""
        front = "" if split == self.task.validation[0] else f"{split}/"
        return {f"{front}{name}": value for name, value in found.items()}

    def _rates(self) -> dict[str, float]:
        decay = self.recipe.train.layer_decay
        if decay == 1:
            return {}
        (layers,) = (part for part in self.shape.backbone.modules() if isinstance(part, Layers))
        if len(layers.attention) < layers.depth or len(layers.mlp) < layers.depth:
            raise UsageError(
                f"train.layer_decay: the layers of {self.recipe.start} share their weights, so they have one rate",
                hint="leave train.layer_decay out",
            )
        return layer_rates((name for name, _ in self.shape.named_parameters()), layers.depth, decay)


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Fine-tune with each seed, to the end or to a signal, and report."""
    out = Path(recipe.out)
    with training.ranks(console) as (world, interrupts):
        if recipe.train.precision == "bf16" and world.device.type == "cpu":
            raise UsageError(
                "train.precision: bf16 needs a GPU; most CPUs compute it in software, 20 to 50 times slower",
                hint="train.precision=fp32",
            )
        source = world.on_first(lambda: folder.claim(out, resume=options.resume, overwrite=options.overwrite))
        plan = Plan(recipe)
        world.on_first(lambda: _begin(plan, source, options, console))
        plan.open(out / "rows")
        done = [_one(plan, seed, options, console, world, interrupts) for seed in recipe.seeds]
        result = summary(plan, done)
        world.on_first(lambda: _write_json(out / "scores.json", result))
        report(plan, result, console, as_json=options.json)


def dry_run(recipe: Recipe, console: Console, *, as_json: bool) -> None:
    """Read and check every row, then say what the runs would take; writes nothing."""
    plan = Plan(recipe)
    with tempfile.TemporaryDirectory() as aside:
        labelled.prepare(recipe, plan.tokenizer, Path(aside) / "rows", console)
        plan.open(Path(aside) / "rows")
        rows = plan.splits[plan.task.train]
        size = recipe.train.batch // recipe.train.accumulate
        (sample,) = Bucketed(rows, rows.lengths, plan.shape.collate, batch=size, steps=1, seed=0).get(0)
        need = estimate(plan.objective, sample, recipe.train.precision, plan.vocabulary.size)
        facts: dict[str, Any] = {
            "rows": {name: len(split) for name, split in plan.splits.items()},
            "cut": {name: _cut(split, recipe.train.length) for name, split in plan.splits.items()},
            "parameters": need.parameters,
            "flops_per_token": need.flops_per_row * need.rows / sample.tokens,
            "memory": need.memory,
            "steps": plan.steps,
            "seeds": len(recipe.seeds),
            "flops": need.flops_per_row * plan.steps * recipe.train.batch * len(recipe.seeds),
            "baseline": plan.baseline(),
        }
    if as_json:
        console.json(facts | {"recipe": recipe.model_dump(mode="json")})
        return
    shown = {
        "rows": ", ".join(f"{name} {count:,}" for name, count in facts["rows"].items()),
        "longer than train.length": ", ".join(f"{name} {share:.1%}" for name, share in facts["cut"].items()),
        "parameters": need.parameters,
        "steps": f"{plan.steps:,}, with each of {len(recipe.seeds)} seeds",
        "FLOPs": f"{facts['flops']:.3g}",
        "memory": f"{need.memory / 1e9:.2f} GB",
        "majority": ", ".join(f"{name} {value:.4f}" for name, value in facts["baseline"].items()),
    }
    console.facts("these runs would take", shown)


def summary(plan: Plan, done: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs in one value."""
    values = {name: [run["figures"][name] for run in done] for name in done[0]["figures"]}
    spreads = {name: metrics.spread(found) for name, found in values.items()}
    return {
        "start": plan.recipe.start,
        "rows": {name: len(split) for name, split in plan.splits.items()},
        "runs": done,
        "mean": {name: mean for name, (mean, _) in spreads.items()},
        "deviation": {name: deviation for name, (_, deviation) in spreads.items()},
        "majority": plan.baseline(),
    }


def report(plan: Plan, result: dict[str, Any], console: Console, *, as_json: bool) -> None:
    """The scores, on stdout, the baseline beneath them."""
    if as_json:
        console.json(result)
        return
    names = list(result["mean"])

    def line(head: str, step: str, figures: dict[str, float]) -> list[str]:
        return [head, step, *(f"{figures[name]:.4f}" if name in figures else "" for name in names)]

    rows = [line(f"seed {run['seed']}", f"{run['step']:,}", run["figures"]) for run in result["runs"]]
    if len(rows) > 1:
        rows += [line("mean", "", result["mean"]), line("deviation", "", result["deviation"])]
    rows.append(line("majority", "", result["majority"]))
    counts = ", ".join(f"{name} {count:,}" for name, count in result["rows"].items())
    console.table(("", "step", *names), rows, title=f"{plan.recipe.out}: {counts} rows")


def _one(
    plan: Plan, seed: int, options: Options, console: Console, world: World, interrupts: Interrupts
) -> dict[str, Any]:
    """One run, or what it has reached if it is finished."""
    out = Path(plan.recipe.out) / f"seed-{seed}"
    recipe = plan.recipe.model_copy(update={"seeds": (seed,), "out": str(out)})
    if (out / "scores.json").exists():
        _require_same(loads((out / "recipe.yaml").read_text("utf8"), Recipe), recipe, out)
        console.note(f"{out}: is finished")
        finished: dict[str, Any] = json.loads((out / "scores.json").read_text("utf8"))
        return finished
    every = recipe.evaluate.every or plan.epoch
    settings = Settings(
        recipe=recipe,
        out=out,
        train=recipe.train,
        evaluate_every=every,
        save=Save(every=every, keep=1),
        track=recipe.track,
        seed=seed,
    )
    trained: list[TaskObjective] = []

    def build(world: World) -> Job:
        objective = plan.objective()
        trained.append(objective)
        fresh = huggingface.load(objective, plan.state).fresh
        console.note(f"seed {seed}: {plan.steps:,} steps; from random weights: {', '.join(fresh)}")
        return _job(plan, seed, objective, world)

    resume = "auto" if options.resume else None
    outcome = training.run_here(
        settings,
        replace(options, resume=resume, overwrite=False),
        console,
        build,
        lambda path: loads(path.read_text("utf8"), Recipe),
        world,
        interrupts,
    )
    return _scores(plan, seed, trained[0], outcome, world, interrupts)


def _job(plan: Plan, seed: int, objective: TaskObjective, world: World) -> Job:
    """What the training loop needs for one seed."""
    for part in objective.modules():
        if isinstance(part, Layers):
            part.recompute = plan.recipe.train.recompute

    def evaluate(state: State, interrupts: Interrupts) -> dict[str, float]:
        found: dict[str, float] = {}
        for split in plan.task.validation:
            found |= plan.figures(split, plan.said(objective, split, world, interrupts))
        return found

    def flops_so_far() -> Callable[[int, int], float]:
        rate = plan.flops_per_token(objective, world)
        return lambda steps, tokens: rate * tokens

    return Job(
        objective=objective,
        batches=Ahead(plan.batches(objective, seed, world)),
        evaluate=evaluate,
        steps=plan.steps,
        seconds=None,
        flops=flops_so_far,
        export=lambda path: plan.export(objective, path),
        rates=plan.rates,
        patience=plan.recipe.evaluate.patience,
        best=True,
    )


def _require_same(old: Recipe, new: Recipe, out: Path) -> None:
    """Raise UsageError when a finished seed was trained in another way: no mean would make sense."""
    changed = [change for change in difference(old, new) if change.path not in ("out", "track")]
    if changed:
        lines = "".join(f"\n  {path}: {before} -> {now}" for path, before, now in changed)
        raise UsageError(
            f"{out}: is finished, but was trained with another recipe:{lines}",
            hint="put these back, train all seeds again with --overwrite, or choose another --out",
        )


def _scores(
    plan: Plan,
    seed: int,
    objective: TaskObjective,
    outcome: Outcome,
    world: World,
    interrupts: Interrupts,
) -> dict[str, Any]:
    """Score the result on all validation rows, and write down what it says of these and of test rows."""
    task, out = plan.task, Path(plan.recipe.out) / f"seed-{seed}"
    found: dict[str, float] = {}
    for split in (*task.validation, *(name for name in task.test if name in plan.splits)):
        said = plan.said(objective, split, world, interrupts)
        if split in task.validation:
            found |= plan.figures(split, said)
        with interrupts.shield():
            world.on_first(lambda split=split, said=said: _write_predictions(plan, out, split, said))  # type: ignore[misc]
    scores = {"seed": seed, "step": outcome.steps, "seconds": outcome.seconds, "figures": found}
    with interrupts.shield():
        world.on_first(lambda: _write_json(out / "scores.json", scores))
    return scores


def _write_predictions(plan: Plan, out: Path, split: str, said: NDArray[np.float64]) -> None:
    """predictions/SPLIT.jsonl, and the server's file where the task has one."""
    rows, objective = plan.splits[split], plan.shape
    decided = objective.decide(said)
    (out / "predictions").mkdir(exist_ok=True)
    with (out / "predictions" / f"{split}.jsonl").open("w", encoding="utf8") as file:
        for row, (numbers, label) in enumerate(zip(said.tolist(), decided.tolist(), strict=True)):
            line = {"row": row} | objective.answer(numbers, label)
            if split not in plan.task.test:
                line["label"] = objective.spell(rows.labels[row].tolist())
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    submission = plan.task.submission
    if submission is not None and split in plan.task.test:
        (out / "submission").mkdir(exist_ok=True)
        path = out / "submission" / submission.files[plan.task.test.index(split)]
        with path.open("w", encoding="utf8") as file:
            file.write("index\tprediction\n")
            for row, label in enumerate(decided.tolist()):
                spelt = int(label[0]) if submission.write == "ids" else objective.spell(label)
                file.write(f"{row}\t{spelt}\n")


def _begin(plan: Plan, source: Path | None, options: Options, console: Console) -> None:
    """Write down what is run, and encode the rows."""
    out = Path(plan.recipe.out)
    written = out / "recipe.yaml"
    if source is not None and written.exists():
        for line in folder.changes(loads(written.read_text("utf8"), Recipe), plan.recipe):
            console.note(f"resuming with another {line}")
    names = ("torch", "numpy", "tokenizers", "safetensors", "datasets", "scikit-learn", "scipy")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    facts = folder.environment(names, device, 1) | {"threads": torch.get_num_threads()}
    folder.start(out, plan.recipe, facts, overwrite=options.overwrite)
    labelled.prepare(plan.recipe, plan.tokenizer, out / "rows", console)


def _with_dropout(model: Any, recipe: Recipe) -> EncoderConfig:
    """The net's block with the dropout that the recipe asks for."""
    rates = {"dropout": recipe.dropout.net, "attention_dropout": recipe.dropout.attention}
    changed = model.model_copy(update={key: rate for key, rate in rates.items() if rate is not None})
    assert isinstance(changed, EncoderConfig)  # as check_task has made sure
    return changed


def _cut(rows: Inputs, length: int) -> float:
    """Share of rows that fill the whole length: about those that are cut."""
    return float((rows.lengths >= length).mean())


def _write_json(path: Path, value: Any) -> None:
    """Whole or not at all: that the file is there says that its seed is finished."""
    aside = path.with_suffix(".partial")
    aside.write_text(json.dumps(value, indent=2) + "\n", encoding="utf8")
    aside.replace(path)
