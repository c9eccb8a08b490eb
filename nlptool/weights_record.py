"""What a folder of weights says of itself, and whether the run that it lies in has left it behind.

FOLDER/run.json   the step whose weights these are, the step at which the run ended then, digests of the weights
RUN/run.json      of the run, see nlptool.runs.run_state: the step at which it has ended, null while it goes on
"""

from pathlib import Path
from typing import Any, NamedTuple

from nlptool import atomic_files, notices
from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.manifests import differs, differs_at_a_glance, recorded, require_recorded

FILE = "run.json"
FINAL = "final"
WEIGHTS, FILES = "weights", "files"
CARD = "README.md"
"""The card of a model, which may be written again."""


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
    """Write into a folder of weights which ones they are, with size and digest of them and of what lies beside them."""
    files = {path for path in folder.iterdir() if path.is_file() and path.name not in (FILE, CARD)}
    found = set(folder.glob("*.safetensors"))
    values = stamped._asdict() | {WEIGHTS: recorded(found), FILES: recorded(files - found)}
    atomic_files.write_json(folder / FILE, values)


def require_weights(folder: Path) -> None:
    """Raise DataError where the weights of a folder are not those that were written, as far as it says which."""
    remedy = f"restore the folder; or, if they were changed on purpose, remove {WEIGHTS} from its {FILE}"
    require_recorded(folder, weights(folder), remedy)


def weights(folder: Path) -> dict[str, Any]:
    """Size and digest of each file of weights, as a folder says; empty where it does not."""
    return _recorded(folder, WEIGHTS)


def changed(folder: Path) -> str | None:
    """Which file is not what was written, the model card left aside; None where all are, the weights at a glance."""
    return differs_at_a_glance(folder, weights(folder)) or differs(folder, _recorded(folder, FILES))


def _recorded(folder: Path, key: str) -> dict[str, Any]:
    found = (read(folder) or {}).get(key, {})
    if not isinstance(found, dict):
        raise DataError(f"{folder / FILE}: {key} is no object", hint="restore it, or remove it")
    return found


def superseded(run: Path) -> str | None:
    """Why a run's final/ is not what the run has come to; None where it is, or where there is none.

    Raises DataError for a run.json that cannot be read.
    """
    final = run / FINAL
    written, stamped = read(run), read(final)
    if written is None or not final.is_dir():  # of a version that wrote nothing down, it is the end
        return None
    if written["ended"] is not None and written["ended"] == (stamped["ended"] if stamped else None):
        return None
    which = f"is the model of step {stamped['step']:,}" if stamped else "is of an earlier end of the run"
    to = f" to {counted(written['steps'], 'steps')}" if written.get("steps") else ""
    return f"{which}; the run was resumed{to} and has not ended"


def superseded_final(model: Path) -> str | None:
    """That a model is a final/ which its run has left behind, or lies in one, and what to do; None where it is not."""
    for final in (model, model.parent):
        if final.name == FINAL and (why := superseded(final.parent)):
            run = final.parent
            return (
                f"{final} {why}; end the run, or write its newest checkpoint with nlptool export {run}, "
                "or copy the folder to take it as it is"
            )
    return None


def notify_if_superseded(model: Path) -> None:
    """Tell the user where a model that is asked something is one that its run has left behind."""
    if why := superseded_final(model):
        notices.notify(why)
