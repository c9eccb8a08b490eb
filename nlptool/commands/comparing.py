"""The working half of `compare`: train what is missing, probe every checkpoint, write the table."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from nlptool.commands import pretraining
from nlptool.commands.compare import Entry, Probes
from nlptool.commands.pretraining import Plan
from nlptool.console import Console, Options
from nlptool.errors import DataError
from nlptool.evaluate import minimal_pairs
from nlptool.evaluate.interval import Share
from nlptool.evaluate.pairs import PairJudge
from nlptool.evaluate.scoring import scorer
from nlptool.figures import duration, quantity
from nlptool.files import digest
from nlptool.recipe import difference, loads
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import checkpoint
from nlptool.train.distributed import World

VERSION = 4  # of what is asked; another one asks again
Pairs = list[minimal_pairs.Pair]

PAIR_TASKS: dict[str, Literal["order", "next"]] = {"sentence order": "order", "next sentence": "next"}


def dry_run(entries: Sequence[Entry], console: Console, *, as_json: bool) -> None:
    """What each run would take; trains nothing."""
    rows = []
    for entry in entries:
        plan = Plan(entry.recipe)
        tokens = plan.steps * plan.tokens_per_step
        known = plan.seconds is None
        rows.append(
            {
                "run": entry.name,
                "parameters": plan.estimate.parameters,
                "flops_per_token": plan.flops_per_step / plan.tokens_per_step,
                "steps": plan.steps if known else None,
                "tokens": tokens if known else None,
                "flops": plan.steps * plan.flops_per_step if known else None,
            }
        )
    if as_json:
        console.json(rows)
        return
    columns = ("run", "parameters", "FLOPs per token", "steps", "tokens", "FLOPs")
    console.table(columns, [["" if v is None else v for v in row.values()] for row in rows])


def run(entries: Sequence[Entry], probes: Probes, out: Path, options: Options, console: Console) -> None:
    """Train, probe, write; what is done already is not done again."""
    pairs = _pairs(probes, entries)  # what is wrong with them is told now, not after hours
    for number, entry in enumerate(entries, start=1):
        console.note(f"run {number} of {len(entries)}: {entry.name}")
        _train(entry, options.overwrite, console)
    runs = []
    for entry in entries:
        console.note(f"probing {entry.name}")
        runs.append(_probed(entry, pairs, console))
    (out / "compare.json").write_text(json.dumps(runs, indent=2) + "\n", encoding="utf8")
    columns, rows = table(runs)
    (out / "compare.md").write_text(markdown(columns, rows), encoding="utf8")
    pictures = _pictures(runs, out, console)
    if options.json:
        console.json(runs)
        return
    console.table(columns, rows)
    console.result("")
    console.facts(str(out), {"table": "compare.md, compare.json", "pictures": ", ".join(pictures) or "none"})


def _pictures(runs: Sequence[dict[str, Any]], out: Path, console: Console) -> list[str]:
    """Each score against compute, as in ELECTRA's figure 1; the files' names."""
    names = list(dict.fromkeys(name for run in runs for name in run["points"][-1]["scores"]))
    if not names:
        return []
    if find_spec("matplotlib") is None:
        console.note("no picture: matplotlib is not installed; pip install 'nlptool[report]'")
        return []
    import numpy as np

    from nlptool.report import drawing
    from nlptool.report.curves import Axis, Chart, Curve

    look, written = drawing.Look.of([run["run"] for run in runs]), []
    for name in names:
        curves = []
        for number, run in enumerate(runs):
            points = [p for p in run["points"] if name in p["scores"]]
            if points:
                x, y, low, high = np.array(
                    [
                        [p["flops"], *(p["scores"][name][key] for key in ("value", "low", "high"))]
                        for p in points
                    ]
                ).T
                curves.append(Curve(number, True, x, y, None, (low, high)))
        file = f"compare-{name.replace(' ', '-')}"
        chart = Chart(file, f"{name} (%)", True, None, name, True, from_zero=False)
        figure = drawing.draw(chart, curves, Axis("flops", "FLOP"), look, log=True)
        (out / f"{file}.svg").write_text(drawing.svg(figure, look, letters=False), encoding="utf8")
        (out / f"{file}.png").write_bytes(drawing.png(figure, look))
        written += [f"{file}.svg", f"{file}.png"]
    return written


def _train(entry: Entry, overwrite: bool, console: Console) -> None:
    """Carry a run out, or as much of it as is missing."""
    out = Path(entry.recipe.out)
    written = out / "recipe.yaml"
    if (out / "final").is_dir() and not overwrite:
        old = loads(written.read_text("utf8"), type(entry.recipe))
        if all(change.path == "out" for change in difference(old, entry.recipe)):
            console.note(f"{out}: is finished")
            return
    resume = "auto" if written.exists() and not overwrite else None
    pretraining.pretrain(entry.recipe, Options(out=str(out), resume=resume, overwrite=overwrite), console)


def _probed(entry: Entry, pairs: Pairs, console: Console) -> dict[str, Any]:
    """A run with its checkpoints, oldest first, and their scores."""
    import torch

    out = Path(entry.recipe.out)
    plan = Plan(entry.recipe)
    objective = plan.objective()
    per_row = plan.flops_per_row(objective, World(0, 1, torch.device("cpu")))
    heldout = _heldout(out / "metrics.jsonl")
    known = _read(out / "probes.json")
    points = []
    for path in reversed(checkpoint.steps(out / "checkpoints")):
        facts = json.loads((path / "state.json").read_text("utf8"))
        asked = _asked(plan, path, pairs)
        if asked not in known:
            known[asked] = _scores(plan, path, pairs, console)
            (out / "probes.json").write_text(json.dumps(known, indent=2) + "\n", encoding="utf8")
        points.append(
            {
                "step": facts["step"],
                "tokens": facts["tokens"],
                "flops": plan.flops(facts["step"], per_row),
                "seconds": facts["elapsed"],
                "heldout": heldout.get(facts["step"], {}),
                "scores": known[asked],
            }
        )
    if not points:
        raise DataError(f"{out}: no checkpoint to probe")
    parameters = sum(p.numel() for p in objective.parameters())
    return {"run": entry.name, "out": str(out), "parameters": parameters, "points": points}


def _scores(plan: Plan, path: Path, pairs: Pairs, console: Console) -> dict[str, Any]:
    """What one checkpoint gets in each probe that it can take."""
    from safetensors.torch import load_file

    objective = plan.objective()
    objective.load_state_dict(load_file(path / "model.safetensors"))
    scores: dict[str, Share] = {}
    if pairs and not objective.sees_mask:
        console.note(
            "minimal pairs are not asked: the net has never seen the [MASK] by which they are scored"
        )
    elif pairs:
        exported = objective.folders(plan.model)[""]
        model = scorer(exported.config, exported.state, Tokenizer.load(plan.store.tokenizer))
        with console.progress("minimal pairs", len(pairs), "pairs") as bar:
            right = 0
            for start in range(0, len(pairs), 200):
                right += minimal_pairs.accuracy(model, pairs[start : start + 200]).right
                bar.to(start)
            bar.to(len(pairs))
        scores["minimal pairs"] = Share(right, len(pairs))
    split = plan.store.split("heldout")
    if len(split) and {"pooler", "pair"} <= {name for name, _ in objective.named_children()}:
        exported = objective.folders(plan.model)[""]
        judge = PairJudge(exported.config, exported.state, plan.vocabulary.special)
        for name, task in PAIR_TASKS.items():
            try:
                scores[name] = judge.accuracy(split, task, plan.stages[-1][0].length)
            except DataError as error:  # of a held-out split without such pairs
                console.note(f"{name} is not asked: {error.message}")
    return {
        name: {"value": s.value, "low": s.interval[0], "high": s.interval[1], "of": s.total}
        for name, s in scores.items()
    }


def _pairs(probes: Probes, entries: Sequence[Entry]) -> Pairs:
    """All pairs to be scored. Raises DataError for what cannot be read, or is longer than a model reads."""
    if probes.pairs is None:
        return []
    files = sorted([*probes.pairs.glob("*.jsonl"), *probes.pairs.glob("*.jsonl.gz")])
    if not files:
        raise DataError(f"{probes.pairs}: no *.jsonl or *.jsonl.gz with minimal pairs")
    tokenizer = Tokenizer.load(Path(entries[0].recipe.tokens) / "tokenizer")
    positions = min(getattr(entry.recipe.model, "positions", sys.maxsize) for entry in entries)
    pairs: list[minimal_pairs.Pair] = []
    for file in files:
        read = minimal_pairs.read(file, probes.most)
        longest = max((len(ids) + 2 for pair in read for ids in tokenizer.encode_batch(pair)), default=0)
        if longest > positions:
            raise DataError(f"{file}: a sentence of {longest} tokens, and a model that reads {positions}")
        pairs += read
    return pairs


def _asked(plan: Plan, path: Path, pairs: Pairs) -> str:
    """Under which name a checkpoint's scores are kept: its weights and what was asked of them."""
    weights = digest(path / "model.safetensors")[:16]
    asked = hashlib.sha256(json.dumps([VERSION, pairs, plan.stages[-1][0].length]).encode()).hexdigest()[:16]
    return f"{path.name} {weights} {asked}"


def _heldout(path: Path) -> dict[int, dict[str, float]]:
    """Held-out figures by step."""
    found: dict[int, dict[str, float]] = {}
    for line in map(json.loads, path.read_text("utf8").splitlines()):
        figures = {k.removeprefix("heldout/"): v for k, v in line.items() if k.startswith("heldout/")}
        if figures:
            found[line["step"]] = figures
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text("utf8"))
    except (OSError, ValueError):
        return {}
    return value


def table(runs: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of where each run ended; held-out figures that most of them have."""
    lasts = [run["points"][-1] for run in runs]
    counts = Counter(name for last in lasts for name in last["heldout"])
    figures = [
        name for name, count in counts.items() if 2 * count >= len(lasts)
    ]  # the others compare nothing
    scores = list(dict.fromkeys(name for last in lasts for name in last["scores"]))
    columns = ["run", "parameters", "FLOPs", "tokens", "time", *figures, *scores]
    rows = []
    for run, last in zip(runs, lasts, strict=True):
        cells = [run["run"], quantity(run["parameters"], "").strip(), f"{last['flops']:.2e}"]
        cells += [quantity(last["tokens"], "").strip(), duration(last["seconds"])]
        cells += [f"{last['heldout'][name]:.3f}" if name in last["heldout"] else "" for name in figures]
        cells += [_share(last["scores"].get(name)) for name in scores]
        rows.append(cells)
    return columns, rows


def _share(score: dict[str, float] | None) -> str:
    if score is None:
        return ""
    return f"{100 * score['value']:.1f} % ± {50 * (score['high'] - score['low']):.1f}"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
