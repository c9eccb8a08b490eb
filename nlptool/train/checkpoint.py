"""Checkpoints: whole or absent, verified when read, never unpickled.

checkpoints/step-00001000/
    model.safetensors      the objective's weights
    optimizer.safetensors  moments and step counter
    state.json             step, tokens, seconds, held-out loss, digest of the recipe
    manifest.json          size and SHA-256 of each file above
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nlptool.errors import DataError
from nlptool.files import fault, write_manifest, written_aside
from nlptool.train.trainer import State


@dataclass(frozen=True)
class Broken:
    """A checkpoint that cannot be used, and why."""

    folder: Path
    reason: str


def save(state: State, folder: Path, recipe_digest: str, heldout: float | None) -> None:
    """Write one checkpoint. Raises DataError when the disk refuses; nothing of it is left then.

    heldout: the held-out loss of just these weights, if it was measured.
    """
    with written_aside(folder) as aside:
        try:
            save_file(state.module.state_dict(), aside / "model.safetensors")
            save_file(state.optimizer.state_dict(), aside / "optimizer.safetensors")
        except SafetensorError as error:  # its words for a full disk
            raise OSError(str(error)) from error
        facts = {
            "step": state.step,
            "tokens": state.tokens,
            "elapsed": state.elapsed,
            "heldout": heldout,
            "recipe": recipe_digest,
        }
        (aside / "state.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf8")
        write_manifest(aside)


def load(state: State, folder: Path) -> str:
    """Take up a checkpoint that `newest` found whole; returns the digest of the recipe that made it.

    Raises DataError when the tensors are not those of this model.
    """
    facts = json.loads((folder / "state.json").read_text("utf8"))
    try:
        state.module.load_state_dict(load_file(folder / "model.safetensors"))
        state.optimizer.load_state_dict(load_file(folder / "optimizer.safetensors"))
    except (KeyError, RuntimeError) as error:
        raise DataError(
            f"{folder}: its weights are not those of this recipe's model",
            hint=f"resume with the recipe it was saved by ({error})",
        ) from error
    state.step, state.tokens, state.elapsed = facts["step"], facts["tokens"], facts["elapsed"]
    return str(facts["recipe"])


def steps(folder: Path) -> list[Path]:
    """The checkpoints in a run's checkpoint folder, newest first; whole or not."""
    found = [path for path in folder.glob("step-*") if path.name[5:].isdigit()]
    return sorted(found, key=lambda path: int(path.name[5:]), reverse=True)


def newest(folder: Path) -> tuple[Path | None, list[Broken]]:
    """The newest whole checkpoint, and the broken ones that are newer."""
    broken: list[Broken] = []
    for path in steps(folder):
        why = fault(path)
        if why is None:
            return path, broken
        broken.append(Broken(path, why))
    return None, broken


def best(folder: Path) -> Path | None:
    """The checkpoint with the lowest held-out loss, if any has one."""
    scores = {path: _facts(path).get("heldout") for path in steps(folder)}
    known = {path: score for path, score in scores.items() if score is not None}
    return min(known, key=lambda path: known[path]) if known else None


def heldout(path: Path) -> float | None:
    """The held-out loss of a checkpoint, if it was measured."""
    return _facts(path).get("heldout")


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints and the best one, and what a killed run left behind."""
    spared = best(folder)
    for path in steps(folder)[keep:]:
        if path != spared:
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob("*.partial"):
        shutil.rmtree(path, ignore_errors=True)


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"


def _facts(path: Path) -> dict[str, float | None]:
    try:
        facts: dict[str, float | None] = json.loads((path / "state.json").read_text("utf8"))
    except (OSError, ValueError):
        return {}
    return facts
