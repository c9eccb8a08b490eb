"""Checkpoints: whole or absent, verified when read, never unpickled.

checkpoints/step-00001000/
    model.safetensors      the objective's weights
    optimizer.safetensors  moments and step counter
    state.json             step, tokens, FLOPs, seconds, learning rate, stages, held-out loss; digests of the recipe and
                           of the token store and the models that every step reads
    manifest.json          size and SHA-256 of each file above
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlptool.atomic_files import Shape, of_system, read_json, write_json
from nlptool.errors import DataError, NonFiniteLoss
from nlptool.manifests import MANIFEST, atomic_folder, remove_leftovers, verify_manifest, write_manifest
from nlptool.train.stages import ResumedAt
from nlptool.train.trainer import State

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", MANIFEST)


@dataclass(frozen=True)
class InvalidCheckpoint:
    """A checkpoint that cannot be used. Its message says why."""

    folder: Path
    reason: str


@dataclass(frozen=True)
class Facts:
    """The content of state.json."""

    step: int
    tokens: int
    elapsed: float
    recipe: str
    """Digest of the recipe that made it."""
    heldout: float | None = None
    """Held-out loss of these weights, if it was measured."""
    flops: float | None = None
    """None: written by a version that did not keep them."""
    lr: float | None = None
    """Learning rate of its last step."""
    stages: tuple[int, ...] = ()
    """First step of each stage that has begun."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Digests of the token store and of the models that every step reads, by the recipe's key."""
    scheduled: bool = True
    """Whether the recipe schedules it; False: it was saved because the run was stopped."""

    @property
    def begun(self) -> ResumedAt:
        """How far the run had come."""
        return ResumedAt(self.step, self.stages)


LIKE: Shape = {
    "step": int, "tokens": int, "elapsed": float, "recipe": str, "heldout?": float, "flops?": float, "lr?": float,
    "stages?": [int], "models?": {str: str}, "scheduled?": bool,
}  # fmt: skip
"""Required shape of state.json."""


def save(
    state: State,
    folder: Path,
    recipe_digest: str,
    heldout: float | None,
    stages: Sequence[int] = (0,),
    models: Mapping[str, str] = MappingProxyType({}),
    *,
    scheduled: bool = True,
) -> None:
    """Write one checkpoint.

    heldout: the held-out loss of these weights, if it was measured. stages: the first step of each stage. models:
    digests of what every step reads. scheduled: whether the recipe schedules it. Raises DataError when the disk
    refuses, and NonFiniteLoss for weights that are not finite; then nothing is left of it.
    """
    tensors = {"model": state.module.state_dict(), "optimizer": state.optimizer.state_dict()}
    if bad := not_finite(tensors["model"] | tensors["optimizer"]):
        raise NonFiniteLoss(f"step {state.step:,}: the weights are not finite ({', '.join(bad[:3])})")
    facts = Facts(
        step=state.step,
        tokens=state.tokens,
        elapsed=state.elapsed,
        recipe=recipe_digest,
        heldout=heldout,
        flops=state.flops,
        lr=state.lr,
        stages=tuple(first for first in stages if first < state.step),
        models=dict(models),
        scheduled=scheduled,
    )
    with atomic_folder(folder) as aside:
        try:
            for name, values in tensors.items():
                save_file(values, aside / f"{name}.safetensors")
        except SafetensorError as error:  # its message for a full disk
            raise of_system(error) from error
        write_json(aside / "state.json", asdict(facts))
        write_manifest(aside)


def load(state: State, folder: Path) -> Facts:
    """Load a checkpoint that `newest` found whole, and return its state.json.

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
    """The state.json of a whole checkpoint. Raises DataError where it cannot be read."""
    path = folder / "state.json"
    written = read_json(path, dict, "resume another checkpoint", LIKE)
    values = {known.name: written[known.name] for known in fields(Facts) if known.name in written}
    try:
        return Facts(**values | {"stages": tuple(values.get("stages", ()))})
    except TypeError:
        raise DataError(
            f"{path}: is not the state of a checkpoint", hint="resume another checkpoint"
        ) from None


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors with a NaN or an infinite number."""
    return [name for name, tensor in tensors.items() if not tensor.isfinite().all()]


def steps(folder: Path) -> list[Path]:
    """The checkpoints in a run's checkpoint folder, newest first, whole or not."""
    found = [path for path in folder.glob("step-*") if path.name[5:].isdigit()]
    return sorted(found, key=step_of, reverse=True)


def newest(folder: Path) -> tuple[Path | None, list[InvalidCheckpoint]]:
    """The newest whole checkpoint, and newer damaged ones."""
    return _first_whole(steps(folder))


def best(folder: Path) -> tuple[Path | None, list[InvalidCheckpoint]]:
    """The whole checkpoint with the lowest held-out loss, if any has one, and damaged ones with a lower loss."""
    return _first_whole(_by_loss(folder))


def _first_whole(paths: list[Path]) -> tuple[Path | None, list[InvalidCheckpoint]]:
    broken: list[InvalidCheckpoint] = []
    for path in paths:
        why = verify_manifest(path)
        if why is None:
            return path, broken
        broken.append(InvalidCheckpoint(path, why))
    return None, broken


def _by_loss(folder: Path) -> list[Path]:
    """The checkpoints with a known held-out loss, lowest first, whole or not."""
    scores = {path: heldout(path) for path in steps(folder)}
    known = {path: score for path, score in scores.items() if score is not None and isfinite(score)}
    return sorted(known, key=lambda path: known[path])


def heldout(path: Path) -> float | None:
    """The held-out loss of a checkpoint, if it was measured and can be read."""
    try:
        return read(path).heldout
    except (DataError, FileNotFoundError):
        return None


def prune(folder: Path, keep: int, written: Path) -> None:
    """Delete all but the newest `keep` checkpoints, the best one and the one just `written`; none with a user's
    files in it.

    Unscheduled earlier checkpoints are deleted, so that a run that was stopped keeps the same ones as one that was
    not; so are remains of a killed run.
    """
    found = [path for path in steps(folder) if all(one.name in FILES for one in path.iterdir())]
    passing = [path for path in found if path != written and not _is_scheduled(path)]
    lasting = [path for path in found if path not in passing]
    # The best one is not verified, since reading every checkpoint after each save would take long.
    spared = (*_by_loss(folder)[:1], written)
    for path in (*passing, *lasting[keep:]):
        if path not in spared:
            shutil.rmtree(path, ignore_errors=True)
    remove_leftovers(folder)


def _is_scheduled(path: Path) -> bool:
    try:
        return read(path).scheduled
    except (DataError, FileNotFoundError):
        return True


def step_of(path: Path) -> int:
    """The step of a checkpoint's folder."""
    return int(path.name.removeprefix("step-"))


def path_of(folder: Path, step: int) -> Path:
    """Folder of a step's checkpoint."""
    return folder / f"step-{step:08d}"
