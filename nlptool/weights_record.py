"""The record of a folder of weights, and whether its run has continued since.

FOLDER/run.json   the step of these weights, the last step of the run at that time, digests of the weights
RUN/run.json      of the run, see nlptool.runs.run_state: the last step, null while it runs
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
"""The card of a model, which may be rewritten."""


class Stamp(NamedTuple):
    """Identifies weights."""

    step: int
    """Earlier than the end if the best checkpoint was taken."""
    ended: int
    """Last step of the run."""


def read(folder: Path) -> dict[str, Any] | None:
    """The content of the file; None if there is none."""
    try:
        found = atomic_files.read_json(folder / FILE, dict)
    except FileNotFoundError:
        return None
    return found if "ended" in found else None


def stamp(folder: Path, stamped: Stamp) -> None:
    """Record the step of a folder's weights, with size and digest of them and of the files beside them."""
    files = {path for path in folder.iterdir() if path.is_file() and path.name not in (FILE, CARD)}
    found = set(folder.glob("*.safetensors"))
    values = stamped._asdict() | {WEIGHTS: recorded(found), FILES: recorded(files - found)}
    atomic_files.write_json(folder / FILE, values)


def require_weights(folder: Path) -> None:
    """Raise DataError where the weights of a folder differ from its record, if there is one."""
    remedy = f"restore the folder; or, if they were changed on purpose, remove {WEIGHTS} from its {FILE}"
    require_recorded(folder, weights(folder), remedy)


def weights(folder: Path) -> dict[str, Any]:
    """Size and digest of each file of weights in a folder's record; empty without one."""
    return _recorded(folder, WEIGHTS)


def changed(folder: Path) -> str | None:
    """The first file, other than the model card, that differs from the record; None: none. Weights are checked
    quickly."""
    return differs_at_a_glance(folder, weights(folder)) or differs(folder, _recorded(folder, FILES))


def _recorded(folder: Path, key: str) -> dict[str, Any]:
    found = (read(folder) or {}).get(key, {})
    if not isinstance(found, dict):
        raise DataError(f"{folder / FILE}: {key} is not an object", hint="restore it, or remove it")
    return found


def superseded(run: Path) -> str | None:
    """Why a run's final/ is not its current result; None if it is, or there is none.

    Raises DataError for a run.json that cannot be read.
    """
    final = run / FINAL
    written, stamped = read(run), read(final)
    if written is None or not final.is_dir():  # of a version without records: it is the end
        return None
    if written["ended"] is not None and written["ended"] == (stamped["ended"] if stamped else None):
        return None
    which = f"is the model of step {stamped['step']:,}" if stamped else "is of an earlier end of the run"
    to = f" to {counted(written['steps'], 'steps')}" if written.get("steps") else ""
    return f"{which}; the run was resumed{to} and has not ended"


def superseded_final(model: Path) -> str | None:
    """A message if a model is, or lies in, the final/ of a run that has continued since; None otherwise."""
    for final in (model, model.parent):
        if final.name == FINAL and (why := superseded(final.parent)):
            run = final.parent
            return (
                f"{final} {why}; end the run, or write its newest checkpoint with nlptool export {run}, "
                "or copy the folder to keep these weights"
            )
    return None


def notify_if_superseded(model: Path) -> None:
    """Notify the user if a model in use is outdated, since its run has continued."""
    if why := superseded_final(model):
        notices.notify(why)
