"""What a folder of weights says of itself.

FOLDER/run.json   the step whose weights these are, the step at which the run ended then, digests of the weights
"""

from pathlib import Path
from typing import Any, NamedTuple

from nlptool import atomic_files
from nlptool.errors import DataError
from nlptool.manifests import recorded, require_recorded

FILE = "run.json"
WEIGHTS = "weights"


class Stamp(NamedTuple):
    """Which weights these are."""

    step: int
    """An earlier one than the end where the best is taken."""
    ended: int
    """The step at which the run ended."""


def read(folder: Path) -> dict[str, Any] | None:
    """What the file says; None where there is none."""
    try:
        found = atomic_files.read_json(folder / FILE, dict)
    except FileNotFoundError:
        return None
    return found if "ended" in found else None


def stamp(folder: Path, stamped: Stamp) -> None:
    """Write into a folder of weights which ones they are, with their size and digest."""
    values = stamped._asdict() | {WEIGHTS: recorded(folder.glob("*.safetensors"))}
    atomic_files.write_json(folder / FILE, values)


def require_weights(folder: Path) -> None:
    """Raise DataError where the weights of a folder are not those that were written, as far as it says which."""
    remedy = f"restore the folder; or, if they were changed on purpose, remove {WEIGHTS} from its {FILE}"
    require_recorded(folder, weights(folder), remedy)


def weights(folder: Path) -> dict[str, Any]:
    """Size and digest of each file of weights, as a folder says; empty where it does not."""
    found = (read(folder) or {}).get(WEIGHTS, {})
    if not isinstance(found, dict):
        raise DataError(f"{folder / FILE}: {WEIGHTS} is no object", hint="restore it, or remove it")
    return found
