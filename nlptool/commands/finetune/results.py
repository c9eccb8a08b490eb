"""Results of fine-tuning over all seeds: files and a table.

OUT/seed-N/scores.json               scores of this seed
OUT/scores.json                      all seeds, their mean and standard deviation, and the baseline
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
"""Required shape of a seed's scores.json."""
ABREAST = 6  # most figures side by side; more have a line each


def known(out: Path) -> dict[str, Any] | None:
    """The scores of a seed's run, if it is finished; a damaged file counts as missing and is computed again."""
    found = read_or_recompute(out / "scores.json", dict, LIKE)
    return found if found is not None and run_state.outdated(out) is None else None


def summary(setup: FinetuneSetup, done: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs as one value."""
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
    """The share of rows that exceed a limit, by split, and by what exceeds which key."""
    return {
        split: {f"{cut.what} over {cut.key}": cut.rows / setup.splits[split].count for cut in found}
        for split, found in setup.cuts.items()
    }


def shown_cuts(found: dict[str, dict[str, float]]) -> dict[str, str]:
    """The same by key, for a table."""
    names = dict.fromkeys(name for shares in found.values() for name in shares)
    return {
        name: ", ".join(
            f"{split} {percent(shares[name])}" for split, shares in found.items() if name in shares
        )
        for name in names
    }


def report(result: dict[str, Any], console: Console) -> None:
    """Print the scores, one a line, or one a column if there are many; the baseline last."""
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
    """The summary of the combination with the highest mean, the first of equal ones, with the figures of all."""
    best = max(tried, key=lambda one: one["mean"][metric])
    return {key: value for key, value in best.items() if key != "name"} | {
        "best": best["name"],
        "caption": f"best of {counted(len(tried), 'combinations')} by mean {describe(metric).title}, chosen on the "
        f"validation rows that are scored; {best['caption']}",
        "grid": [{key: one[key] for key in ("name", "out", "mean", "std")} for one in tried],
    }


def report_grid(found: dict[str, Any], scored: Sequence[str], seeds: int, console: Console) -> None:
    """Print all combinations."""
    metrics = {name: describe(name) for name in scored if name in found["mean"]}
    rows = []
    for one in found["grid"]:
        shown = [f"{m.show(one['mean'][name])} ± {m.show(one['std'][name])}" for name, m in metrics.items()]
        rows.append([one["name"], *shown])
    title = f"mean and standard deviation, {each(seeds, 'seeds')}; best: {found['best']}"
    console.table(["", *(metric.title for metric in metrics.values())], rows, title=title)
    console.result("")
