"""What a fine-tuned net says of each row, and what all seeds have reached: files, and a table.

OUT/seed-N/predictions/SPLIT.jsonl   row, prediction, label, and more
OUT/seed-N/submission/               files for a benchmark's program or server, where the task has them
OUT/seed-N/scores.json               what this seed has reached
OUT/scores.json                      all seeds, their mean and spread, and the baseline
"""

import json
from pathlib import Path
from typing import Any

from nlptool import course
from nlptool.atomic_files import read_json, write_text
from nlptool.commands.finetune.setup import FinetuneSetup
from nlptool.console import Console
from nlptool.errors import DataError
from nlptool.evaluation.metrics import classification
from nlptool.metric_table import describe
from nlptool.tasks.base import Numbers

ABREAST = 6  # figures side by side; more have a line each


def write_answers(plan: FinetuneSetup, out: Path, split: str, said: Numbers) -> None:
    """A line for each row of a split, and the files to hand in."""
    answers = list(plan.shape.answers(plan.splits[split], said))
    lines = (json.dumps({"row": row} | answer, ensure_ascii=False) for row, answer in enumerate(answers))
    files = {f"predictions/{split}.jsonl": "".join(f"{line}\n" for line in lines)}
    files |= {f"submission/{name}": text for name, text in plan.shape.handed_in(split, answers).items()}
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)


def known(out: Path) -> dict[str, Any] | None:
    """What a seed's run has reached, if it is finished; what is damaged is as none, since it can be made again."""
    try:
        found = read_json(out / "scores.json", dict)
    except (FileNotFoundError, DataError):
        return None
    whole = isinstance(found.get("figures"), dict) and isinstance(found.get("step"), int)
    return found if whole and course.outdated(out) is None else None


def summary(plan: FinetuneSetup, done: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs in one value."""
    values = {name: [run["figures"][name] for run in done] for name in done[0]["figures"]}
    spreads = {name: classification.spread(found) for name, found in values.items()}
    return {
        "out": plan.recipe.out,
        "start": plan.recipe.start,
        "select": plan.recipe.evaluate.select,
        "caption": plan.recipe.evaluate.caption,
        "rows": {name: split.count for name, split in plan.splits.items()},
        "cut": cuts(plan),
        "runs": done,
        "mean": {name: mean for name, (mean, _) in spreads.items()},
        "deviation": {name: deviation for name, (_, deviation) in spreads.items()},
        "guess": plan.shape.guess,
        "baseline": plan.baseline(),
    }


def cuts(plan: FinetuneSetup) -> dict[str, dict[str, float]]:
    """The share of rows in which a limit is met, by split and by what meets which key."""
    return {
        split: {f"{cut.what} over {cut.key}": cut.rows / plan.splits[split].count for cut in found}
        for split, found in plan.cuts.items()
    }


def shown_cuts(found: dict[str, dict[str, float]]) -> dict[str, str]:
    """The same by key, as a table has it."""
    names = dict.fromkeys(name for shares in found.values() for name in shares)
    return {
        name: ", ".join(f"{split} {shares[name]:.1%}" for split, shares in found.items() if name in shares)
        for name in names
    }


def report(result: dict[str, Any], console: Console) -> None:
    """The scores, on stdout, a line each, or a column each where there are many figures; the baseline last."""
    runs = [(f"seed {run['seed']}", f"{run['step']:,}", run["figures"]) for run in result["runs"]]
    if len(runs) > 1:
        runs += [("mean", "", result["mean"]), ("deviation", "", result["deviation"])]
    runs.append((result["guess"], "", result["baseline"]))
    names = list(result["mean"])
    lines = [["", *(head for head, _, _ in runs)], ["step", *(step for _, step, _ in runs)]]
    lines += [
        [metric.title, *(metric.show(figures[name]) if name in figures else "" for *_, figures in runs)]
        for name, metric in ((name, describe(name)) for name in names)
    ]
    if len(names) <= ABREAST:
        lines = [list(line) for line in zip(*lines, strict=True)]
    counts = ", ".join(f"{name} {count:,}" for name, count in result["rows"].items())
    console.table(lines[0], lines[1:], title=f"{result['out']}: {counts} rows; {result['caption']}")
