"""The figures of a finished run of any command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json
from nlptool.commands.reproduce.expected_figures import NEXT, ORDER
from nlptool.commands.reproduce.experiment import PlannedRun
from nlptool.errors import DataError
from nlptool.evaluation.segment_pairs import SegmentPairScorer
from nlptool.metric_table import held_out
from nlptool.models import huggingface
from nlptool.runs import machine, metrics_file
from nlptool.text.store import TokenStore
from nlptool.text.tokenizer import Tokenizer

Figures = dict[str, float]
MAJORITY = "majority"


def of(run: PlannedRun, recipe: Any) -> Figures:
    """All figures of a run by name; empty for one that produces data."""
    read = READERS.get(run.module)
    return {} if read is None else read(run.out, recipe)


def _trained(out: Path, recipe: Any) -> Figures:
    """The last held-out figures, costs, and for pairs of segments the accuracy on their order."""
    found: Figures = {}
    for line in metrics_file.read(out):
        found |= held_out(line)
        found |= {name: line[name] for name in ("tokens", "flops", "parameters") if name in line}
    return found


def _pretrained(out: Path, recipe: Any) -> Figures:
    found = _trained(out, recipe)
    if not isinstance(recipe.store, str):
        return found
    pretrained = huggingface.load_pretrained(out / "final")
    if {"pooler", "pair"} <= pretrained.heads:
        store = TokenStore(Path(recipe.store))
        special = Tokenizer.of_store(store).special
        scorer = SegmentPairScorer(pretrained, special, machine.device())
        length = max(stage.sequence_length for stage in recipe.train.plan())
        found[ORDER] = scorer.accuracy(store.split("heldout"), "order", length).value
        found[NEXT] = scorer.accuracy(store.split("heldout"), "next", length).value
    return found


def _finetuned(out: Path, recipe: Any) -> Figures:
    scores = read_json(out / "scores.json", dict)
    found: Figures = dict(scores["mean"])
    found |= {f"{MAJORITY}/{name}": value for name, value in scores["baseline"].items()}
    found["flops"] = sum(_trained(path, recipe).get("flops", 0.0) for path in sorted(out.glob("seed-*")))
    return found


def _distilled(out: Path, recipe: Any) -> Figures:
    models = read_json(out / "scores.json", dict)["models"]
    found: Figures = dict(models["student"]["mean"])
    for model in ("teacher", "baseline_student"):
        if model in models:
            found |= {f"{model}/{name}": value for name, value in models[model]["mean"].items()}
    found["flops"] = sum(_trained(path, recipe).get("flops", 0.0) for path in sorted(out.glob("*/seed-*")))
    return found


def _prompted(out: Path, recipe: Any) -> Figures:
    records: list[dict[str, Any]] = read_json(out / "results.json", list)
    found: Figures = {}
    for record in records:
        for name, score in record["scores"].items():
            if score["value"] is None:
                raise DataError(f"{out}: {record['task']}: {name} is not finite")
            found.setdefault(name, score["value"])
            found[f"{record['task']}/{name}"] = score["value"]
    return found


READERS: dict[str, Callable[[Path, Any], Figures]] = {
    "pretrain": _pretrained,
    "pretrain_transe": _trained,
    "finetune": _finetuned,
    "distill_task": _distilled,
    "prompt": _prompted,
}
