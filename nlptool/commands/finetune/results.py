"""What a fine-tuned model says of each row, and what all seeds have reached: files, and a table.

OUT/seed-N/scores.json               what this seed has reached
OUT/scores.json                      all seeds, their mean and spread, and the baseline
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlptool.atomic_files import Shape, read_or_recompute
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console
from nlptool.evaluation.metrics import classification
from nlptool.formatting import counted, counted_each, each, percent
from nlptool.metric_table import describe
from nlptool.runs import run_state

LIKE: Shape = {"seed": int, "step": int, "seconds": float, "figures": {str: float}}
"""What a seed's scores.json must hold."""
ABREAST = 6  # figures side by side; more have a line each


def known(out: Path) -> dict[str, Any] | None:
    """What a seed's run has reached, if it is finished; what is damaged is as none, since it can be made again."""
    found = read_or_recompute(out / "scores.json", dict, LIKE)
    return found if found is not None and run_state.outdated(out) is None else None


def summary(setup: FinetuneSetup, done: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs in one value."""
    values = {name: [run["figures"][name] for run in done] for name in done[0]["figures"]}
    spreads = {name: classification.spread(found) for name, found in values.items()}
    return {
        "out": str(setup.out),
        "init_from": setup.start,
        "select": setup.evaluate.select,
        "caption": setup.evaluate.caption,
        "rows": {name: split.count for name, split in setup.splits.items()},
        "cut": cuts(setup),
        "runs": done,
        "mean": {name: mean for name, (mean, _) in spreads.items()},
        "std": {name: deviation for name, (_, deviation) in spreads.items()},
        "baseline_name": setup.shape.baseline_name,
        "baseline": setup.baseline(),
    }


def cuts(setup: FinetuneSetup) -> dict[str, dict[str, float]]:
    """The share of rows in which a limit is met, by split and by what meets which key."""
    return {
        split: {f"{cut.what} over {cut.key}": cut.rows / setup.splits[split].count for cut in found}
        for split, found in setup.cuts.items()
    }


def shown_cuts(found: dict[str, dict[str, float]]) -> dict[str, str]:
    """The same by key, as a table has it."""
    names = dict.fromkeys(name for shares in found.values() for name in shares)
    return {
        name: ", ".join(
            f"{split} {percent(shares[name])}" for split, shares in found.items() if name in shares
        )
        for name in names
    }


def report(result: dict[str, Any], console: Console) -> None:
    """The scores, on stdout, a line each, or a column each where there are many figures; the baseline last."""
    runs = [(f"seed {run['seed']}", f"{run['step']:,}", run["figures"]) for run in result["runs"]]
    if len(runs) > 1:
        runs += [("mean", "", result["mean"]), ("std", "", result["std"])]
    runs.append((result["baseline_name"], "", result["baseline"]))
    names = list(result["mean"])
    lines = [["", *(head for head, _, _ in runs)], ["step", *(step for _, step, _ in runs)]]
    lines += [
        [metric.title, *(metric.show(figures[name]) if name in figures else "" for *_, figures in runs)]
        for name, metric in ((name, describe(name)) for name in names)
    ]
    if len(names) <= ABREAST:
        lines = [list(line) for line in zip(*lines, strict=True)]
    counts = counted_each(result["rows"], "rows")
    console.table(lines[0], lines[1:], title=f"{result['out']}: {counts}; {result['caption']}")


def best_of(tried: Sequence[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The summary of the combination whose mean is highest, the first of equal ones, with the figures of all."""
    best = max(tried, key=lambda one: one["mean"][metric])
    return {key: value for key, value in best.items() if key != "name"} | {
        "best": best["name"],
        "caption": f"best of {counted(len(tried), 'combinations')} by mean {describe(metric).title}, chosen on the "
        f"validation rows that are scored; {best['caption']}",
        "grid": [{key: one[key] for key in ("name", "out", "mean", "std")} for one in tried],
    }


def report_grid(found: dict[str, Any], scored: Sequence[str], seeds: int, console: Console) -> None:
    """All combinations, on stdout."""
    metrics = {name: describe(name) for name in scored if name in found["mean"]}
    rows = []
    for one in found["grid"]:
        shown = [f"{m.show(one['mean'][name])} ± {m.show(one['std'][name])}" for name, m in metrics.items()]
        rows.append([one["name"], *shown])
    title = f"mean and standard deviation, {each(seeds, 'seeds')}; best: {found['best']}"
    console.table(["", *(metric.title for metric in metrics.values())], rows, title=title)
    console.result("")
