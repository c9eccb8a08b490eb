"""Scores of a comparison's checkpoints: evaluated once per weights, then cached."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file

from nlptool.atomic_files import notify_recomputed, read_or_recompute, write_json
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.console import Console
from nlptool.errors import DataError
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.evaluation.scoring import scorer
from nlptool.evaluation.segment_pairs import SegmentPairScorer
from nlptool.manifests import digest, verify_manifest
from nlptool.metric_table import describe, held_out
from nlptool.models.huggingface import Pretrained
from nlptool.objectives.base import ExportSpec
from nlptool.prompting.multiple_choice import minimal_pairs
from nlptool.runs import machine, metrics_file
from nlptool.runs.metrics_file import last
from nlptool.train import checkpoint

VERSION = 5  # version of the probes; another one scores again
Pairs = list[minimal_pairs.Pair]

PAIR_TASKS: dict[str, Literal["order", "next"]] = {"sentence order": "order", "next sentence": "next"}


def read_pairs(folder: Path, most: int, setups: Collection[PretrainSetup]) -> Pairs:
    """All pairs to score, `most` of each file.

    Raises DataError for an unreadable file, or a pair that exceeds the positions of a run's model.
    """
    files = minimal_pairs.read(folder, most)
    tokenizer = next(iter(setups)).tokenizer  # all read the same store
    positions = min(setup.model.max_positions for setup in setups)
    pairs: Pairs = []
    for name, read in files.items():
        longest = max((len(ids) + 2 for pair in read for ids in tokenizer.encode_batch(pair)), default=0)
        if longest > positions:
            raise DataError(
                f"{folder}: {name}: a sentence has {longest} tokens, and the model reads {positions}",
                hint=f"model.max_positions={longest}, or remove the pair",
            )
        pairs += read
    return pairs


def evaluated(name: str, setup: PretrainSetup, pairs: Pairs, console: Console) -> dict[str, Any]:
    """A run with its checkpoints, oldest first, and their scores."""
    out, objective = setup.out, setup.objective()
    heldout = _heldout(out, setup.objective_config.name)
    known = read_or_recompute(out / "probes.json", dict) or {}
    points = []
    for path in reversed(checkpoint.steps(out / "checkpoints")):
        if why := verify_manifest(path):
            console.note(f"skipped {path}: {why}")
            continue
        facts = checkpoint.read(path)
        flops = last(out, "flops", facts.step) if facts.flops is None else facts.flops
        key = _cache_key(setup, path, pairs)
        if not isinstance(known.get(key), dict):
            if key in known:
                notify_recomputed(f"{out / 'probes.json'}: the scores of {path.name} are damaged")
            known[key] = _scores(setup, path, pairs, console)
            write_json(out / "probes.json", known)
        points.append(
            {
                "step": facts.step,
                "tokens": facts.tokens,
                "flops": flops or 0.0,
                "seconds": facts.elapsed,
                "heldout": heldout.get(facts.step, {}),
                "scores": known[key],
            }
        )
    if not points:
        raise DataError(f"{out}: no whole checkpoint to probe", hint="train the run again with --overwrite")
    parameters = sum(p.numel() for p in objective.parameters())
    return {"run": name, "out": str(out), "parameters": parameters, "points": points}


def _pretrained(exported: ExportSpec, setup: PretrainSetup) -> Pretrained:
    """A checkpoint as if it had been exported and read again."""
    return Pretrained(exported.config, setup.vocabulary.rows, exported.state)


def _scores(setup: PretrainSetup, path: Path, pairs: Pairs, console: Console) -> dict[str, Any]:
    """The scores of one checkpoint for each probe that it supports."""
    objective = setup.objective()
    objective.load_state_dict(load_file(path / "model.safetensors"))
    scores: dict[str, Proportion] = {}
    if pairs and not objective.sees_mask:
        console.note("minimal pairs are skipped: scoring them needs [MASK], which the model has never seen")
    elif pairs:
        exported = objective.folders(setup.model)[""]
        model = scorer(_pretrained(exported, setup), setup.tokenizer, machine.device())
        with console.progress("minimal pairs", len(pairs), "pairs") as bar:
            right = 0
            for start in range(0, len(pairs), 200):
                right += minimal_pairs.accuracy(model, pairs[start : start + 200]).right
                bar.to(start)
            bar.to(len(pairs))
        scores["minimal pairs"] = Proportion(right, len(pairs))
    split = setup.store.split("heldout")
    if len(split) and {"pooler", "pair"} <= {name for name, _ in objective.named_children()}:
        exported = objective.folders(setup.model)[""]
        pairs_scorer = SegmentPairScorer(
            _pretrained(exported, setup), setup.vocabulary.special, machine.device()
        )
        for name, task in PAIR_TASKS.items():
            try:
                scores[name] = pairs_scorer.accuracy(split, task, setup.stages[-1][0].sequence_length)
            except DataError as error:  # for a held-out split without such pairs
                console.note(f"{name} is skipped: {error.message}")
    return {
        name: {"value": s.value, "low": s.interval[0], "high": s.interval[1], "of": s.total}
        for name, s in scores.items()
    }


def _cache_key(setup: PretrainSetup, path: Path, pairs: Pairs) -> str:
    """Cache key of a checkpoint's scores: its weights and the settings of the probes."""
    weights = digest(path / "model.safetensors")[:16]
    inputs = hashlib.sha256(
        json.dumps([VERSION, pairs, setup.stages[-1][0].sequence_length]).encode()
    ).hexdigest()[:16]
    return f"{path.name} {weights} {inputs}"


def _heldout(run: Path, objective: str) -> dict[int, dict[str, float]]:
    """Held-out figures by step and by their keys in the metric table."""
    found: dict[int, dict[str, float]] = {}
    for line in metrics_file.read(run):
        if figures := held_out(line):
            found[line["step"]] = {describe(name, objective).key: value for name, value in figures.items()}
    return found
