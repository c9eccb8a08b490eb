"""What a fine-tuned model's folder says of its task, so that it can be asked anywhere, without the run it came from.

FINAL/task.json   the task's block, how its rows were read, and the thresholds of its answers
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from nlptool import __version__, registry
from nlptool.atomic_files import read_json, write_json
from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.tasks.config import TaskConfig

FILE = "task.json"
REMEDY = "restore it, or name the task: --task TASK"


class TaskRecord(NamedTuple):
    """A task, and how a model that knows it reads rows."""

    task: TaskConfig
    sequence_length: int
    """Tokens that are read of a row, special ones included."""
    batch_size: int
    """Rows that were scored together: with as many, scores are the same to the last digit."""
    precision: str = "fp32"
    thresholds: dict[str, float] = {}  # noqa: RUF012  (never changed)
    """As TaskObjective.thresholds."""

    def write(self, folder: Path) -> None:
        """Write FILE into a model's folder."""
        write_json(
            folder / FILE,
            {
                "nlptool": __version__,
                "task": self.task.model_dump(mode="json", exclude_defaults=True) | {"name": self.task.name},
                "sequence_length": self.sequence_length,
                "batch_size": self.batch_size,
                "precision": self.precision,
                "thresholds": self.thresholds,
            },
        )


def read_task_record(folder: Path) -> TaskRecord | None:
    """What a model's folder says; None where it says nothing. Raises DataError for what cannot be read."""
    path = folder / FILE
    try:
        found = read_json(path, dict, REMEDY)
    except FileNotFoundError:
        return None
    try:
        numbers = {key: _number(found, key) for key in ("sequence_length", "batch_size")}
        thresholds = {str(key): float(value) for key, value in found.get("thresholds", {}).items()}
        return TaskRecord(
            _task(found["task"]), **numbers, precision=str(found["precision"]), thresholds=thresholds
        )
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise DataError(f"{path}: task: {problems}", hint=REMEDY) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not as nlptool writes it ({error})", hint=REMEDY) from None


def _task(block: dict[str, Any]) -> TaskConfig:
    name = block.get("name")
    if name not in registry.names("tasks"):
        raise ValueError(f"name: {json_value(name)} is no kind of task")
    # From JSON, where lists stand for tuples.
    return registry.config("tasks", name).model_validate_json(json.dumps(block))


def _number(found: dict[str, Any], key: str) -> int:
    if type(found[key]) is not int or found[key] < 1:
        raise ValueError(f"{key}: {json_value(found[key])}")
    return int(found[key])
