"""The record of its task in a fine-tuned model's folder, so that it can predict without its run.

FINAL/task.json   the task's block, how its rows were read, the thresholds of its answers, and the paths, relative
                  to FINAL, of folders that it reads, so that runs may be moved together
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from nlptool import __version__, manifests, registry
from nlptool.atomic_files import read_json, write_json
from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.tasks.config import TaskConfig

FILE = "task.json"
REMEDY = "restore it, or name the task: --task TASK"
BACK = "put it there, or name a file of the task that says where it is: --task FILE"


class TaskRecord(NamedTuple):
    """A task, and how its model reads rows."""

    task: TaskConfig
    sequence_length: int
    """Tokens of a row, special ones included; longer rows are truncated."""
    batch_size: int
    """Rows of a batch: with as many, scores are the same to the last digit."""
    precision: str = "fp32"
    thresholds: dict[str, float] = {}  # noqa: RUF012  (never changed)
    """As TaskObjective.thresholds."""
    folders: Mapping[str, Mapping[str, str]] = {}
    """For keys of the task that name folders: `path`, relative to the model's folder, and `digest`, from `_digest`."""

    def write(self, folder: Path) -> None:
        """Write FILE into a model's folder."""
        task = self.task.of_model()
        write_json(
            folder / FILE,
            {
                "nlptool": __version__,
                "task": task.model_dump(mode="json", exclude_defaults=True) | {"name": task.name},
                "sequence_length": self.sequence_length,
                "batch_size": self.batch_size,
                "precision": self.precision,
                "thresholds": self.thresholds,
                "folders": {
                    key: {
                        "path": os.path.relpath(os.path.realpath(path), os.path.realpath(folder)),
                        "digest": known,
                    }
                    for key, path in named_folders(task).items()
                    if (known := _digest(path)) is not None
                },
            },
        )

    def located(self, folder: Path, name: str) -> TaskConfig:
        """The task with its folders at their current places: relative to the model's folder, or as the task names
        them.

        name: of the model. Raises DataError where one is missing, or not the one of fine-tuning.
        """
        found = {}
        named = named_folders(self.task)
        for key, known in self.folders.items():
            places = [Path(os.path.normpath(folder.resolve() / known["path"])), named[key]]
            there = [place for place in places if place.is_dir()]
            same = [place for place in there if _digest(place) == known["digest"]]
            if not same and there:
                raise DataError(f"{there[0]}: is not the {key} that {name} was fine-tuned with", hint=BACK)
            if not same:
                where = ", nor at ".join(dict.fromkeys(map(str, places)))
                raise DataError(f"{name}: the task reads {key}, which is not at {where}", hint=BACK)
            found[key] = str(same[0])
        return self.task.model_copy(update=found)

    def require_same(self, task: TaskConfig, name: str) -> None:
        """Raise DataError where another task names a folder that differs from the one of fine-tuning."""
        named = named_folders(task)
        for key, known in self.folders.items():
            if key in named and _digest(named[key]) not in (None, known["digest"]):
                raise DataError(f"{named[key]}: is not the {key} that {name} was fine-tuned with", hint=BACK)


def named_folders(task: TaskConfig) -> dict[str, Path]:
    """The folders that a task names, by their keys."""
    values = task.model_dump()
    return {key: Path(values[key]) for key in task.folders if values[key] is not None}


def _digest(folder: Path) -> str | None:
    """Identifies a graph or embeddings; None if there are none."""
    if (folder / "graph.json").is_file():
        return str(read_json(folder / "graph.json", dict).get("fingerprint"))
    weights = folder / "model.safetensors"
    return manifests.digest(weights) if weights.is_file() else None


def read_task_record(folder: Path) -> TaskRecord | None:
    """The record in a model's folder; None if there is none. Raises DataError for an unreadable one."""
    path = folder / FILE
    try:
        found = read_json(path, dict, REMEDY)
    except FileNotFoundError:
        return None
    try:
        numbers = {key: _number(found, key) for key in ("sequence_length", "batch_size")}
        thresholds = {str(key): float(value) for key, value in found.get("thresholds", {}).items()}
        task = _task(found["task"])
        folders = {
            key: {"path": str(one["path"]), "digest": str(one["digest"])}
            for key, one in found.get("folders", {}).items()
            if key in named_folders(task)
        }
        precision = str(found["precision"])
        return TaskRecord(task, **numbers, precision=precision, thresholds=thresholds, folders=folders)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise DataError(f"{path}: task: {problems}", hint=REMEDY) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not as nlptool writes it ({error})", hint=REMEDY) from None


def _task(block: dict[str, Any]) -> TaskConfig:
    name = block.get("name")
    if name not in registry.names("tasks"):
        raise ValueError(f"name: {json_value(name)} is not a kind of task")
    # From JSON, where tuples are lists.
    return registry.config("tasks", name).model_validate_json(json.dumps(block))


def _number(found: dict[str, Any], key: str) -> int:
    if type(found[key]) is not int or found[key] < 1:
        raise ValueError(f"{key}: {json_value(found[key])}")
    return int(found[key])
