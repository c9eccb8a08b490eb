"""Checkpoints: whole or absent, verified when read, never unpickled.

checkpoints/step-00001000/
    model.safetensors      the objective's weights
    optimizer.safetensors  moments and step counter
    state.json             step, tokens, FLOPs, seconds, learning rate, stages, held-out loss, digest of the recipe
    manifest.json          size and SHA-256 of each file above
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlptool.errors import DataError, NonFiniteLoss
from nlptool.files import fault, write_manifest, written_aside
from nlptool.train.stages import Begun
from nlptool.train.trainer import State


@dataclass(frozen=True)
class Broken:
    """A checkpoint that cannot be used, and why."""

    folder: Path
    reason: str


@dataclass(frozen=True)
class Facts:
    """What state.json says."""

    step: int
    tokens: int
    elapsed: float
    recipe: str
    """Digest of the recipe that made it."""
    heldout: float | None = None
    """The held-out loss of just these weights, if it was measured."""
    flops: float | None = None
    """None: written by a version that did not keep them."""
    lr: float | None = None
    """Learning rate of its last step."""
    stages: tuple[int, ...] = ()
    """Where the stages began that have begun."""

    @property
    def begun(self) -> Begun:
        """How far the run has come."""
        return Begun(self.step, self.stages)


def save(
    state: State, folder: Path, recipe_digest: str, heldout: float | None, stages: Sequence[int] = (0,)
) -> None:
    """Write one checkpoint.

    heldout: the held-out loss of just these weights, if it was measured. stages: the first step of each stage.
    Raises DataError when the disk refuses, and NonFiniteLoss for weights that are not finite; nothing of it is left
    then.
    """
    tensors = {"model": state.module.state_dict(), "optimizer": state.optimizer.state_dict()}
    if bad := not_finite(tensors["model"] | tensors["optimizer"]):
        raise NonFiniteLoss(f"step {state.step:,}: the weights are not finite ({', '.join(bad[:3])})")
    facts = Facts(
        state.step,
        state.tokens,
        state.elapsed,
        recipe_digest,
        heldout,
        state.flops,
        state.lr,
        tuple(first for first in stages if first < state.step),
    )
    with written_aside(folder) as aside:
        try:
            for name, values in tensors.items():
                save_file(values, aside / f"{name}.safetensors")
        except SafetensorError as error:  # its words for a full disk
            raise OSError(str(error)) from error
        (aside / "state.json").write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf8")
        write_manifest(aside)


def load(state: State, folder: Path) -> Facts:
    """Take up a checkpoint that `newest` found whole; returns what it says of itself.

    Raises DataError when the tensors are not those of this model, or not finite.
    """
    facts = read(folder)
    model, optimizer = (load_file(folder / f"{name}.safetensors") for name in ("model", "optimizer"))
    if bad := not_finite(model | optimizer):
        raise DataError(
            f"{folder}: its weights are not finite ({', '.join(bad[:3])})",
            hint="resume an earlier checkpoint",
        )
    try:
        state.module.load_state_dict(model)
        state.optimizer.load_state_dict(optimizer)
    except (KeyError, RuntimeError) as error:
        raise DataError(
            f"{folder}: its weights are not those of this recipe's model",
            hint=f"resume with the recipe it was saved by ({error})",
        ) from error
    state.step, state.tokens, state.elapsed = facts.step, facts.tokens, facts.elapsed
    state.flops, state.lr = facts.flops or 0.0, facts.lr or 0.0
    return facts


def read(folder: Path) -> Facts:
    """What a whole checkpoint says of itself."""
    written = json.loads((folder / "state.json").read_text("utf8"))
    values = {field.name: written[field.name] for field in fields(Facts) if field.name in written}
    return Facts(**values | {"stages": tuple(values.get("stages", ()))})


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors that have a NaN or an infinite number."""
    return [name for name, tensor in tensors.items() if not tensor.isfinite().all()]


def steps(folder: Path) -> list[Path]:
    """The checkpoints in a run's checkpoint folder, newest first; whole or not."""
    found = [path for path in folder.glob("step-*") if path.name[5:].isdigit()]
    return sorted(found, key=step_of, reverse=True)


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
    scores = {path: heldout(path) for path in steps(folder)}
    known = {path: score for path, score in scores.items() if score is not None and isfinite(score)}
    return min(known, key=lambda path: known[path]) if known else None


def heldout(path: Path) -> float | None:
    """The held-out loss of a checkpoint, if it was measured, and can be read."""
    try:
        value: float | None = json.loads((path / "state.json").read_text("utf8")).get("heldout")
    except (OSError, ValueError):
        return None
    return value


def prune(folder: Path, keep: int, written: Path) -> None:
    """Delete all but the newest `keep` checkpoints, the best one and the one that was `written` just now.

    What a killed run left behind goes, too.
    """
    spared = (best(folder), written)
    for path in steps(folder)[keep:]:
        if path not in spared:
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob("*.partial"):
        shutil.rmtree(path, ignore_errors=True)


def step_of(path: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(path.name.removeprefix("step-"))


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"
