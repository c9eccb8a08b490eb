"""The answers of one model to one task: a file with a line for each question, which is also what is not asked again.

A line holds the digest of the model and of all that was asked; where both are the same, the answer stands. Lines are
written as answers come, so a run that was stopped goes on behind the last whole one. Answers that a later recipe does
not ask for, with a smaller `limit` for instance, lie aside in TASK-5.unused.jsonl.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nlptool import manifests
from nlptool.atomic_files import append_line, read_bytes, write_text
from nlptool.errors import DataError
from nlptool.prompting.config import Response

PARTS = ("*config.json", "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "*tokens*.json")
"""The files of a model's folder that decide; *config.json is also generation_config.json, which has end tokens."""

REPLIES = TypeAdapter(list[Response])


def of_model(folder: Path) -> str:
    """SHA-256 of all that decides what a model answers: settings, weights and tokenizer."""
    paths = sorted({path for pattern in PARTS for path in folder.glob(pattern) if path.is_file()})
    return _digest([[path.name, manifests.digest(path)] for path in paths])


def of_question(model: str, asked: Sequence[Any]) -> str:
    """SHA-256 of a model's digest and of what it is asked."""
    return _digest([model, asked])


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The lines by digest, with those that lie aside. A last line that breaks off is left out, and cut off the file.

    Raises DataError for any other line that is not as it was written.
    """
    return _lines(_unused(path)) | _lines(path)


def _unused(path: Path) -> Path:
    return path.with_suffix(".unused.jsonl")


def _lines(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = read_bytes(path, "remove it, and only its answers are asked for again")
    except FileNotFoundError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    whole, _, rest = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            entry = json.loads(line)
            if not of_line(entry):
                raise ValueError
            found[str(entry["digest"])] = entry
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{path}:{number}: is not an answer as it was written",
                hint="remove the file, and only its answers are asked for again; or start again with --overwrite",
            ) from None
    if rest:
        with path.open("r+b") as file:
            file.truncate(len(whole) + 1 if whole else 0)
    return found


def of_line(entry: Mapping[str, Any]) -> list[Response]:
    """The replies that a line holds."""
    return REPLIES.validate_python(entry["replies"])


def add(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Append lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    append_line(path, "".join(_line(entry) for entry in entries).removesuffix("\n"))


def replace(path: Path, entries: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]) -> None:
    """The file with just these lines, in this order; of the known ones the others lie aside."""
    asked = {entry["digest"] for entry in entries}
    if others := [entry for digest, entry in known.items() if digest not in asked]:
        _write(_unused(path), others)
    else:
        _unused(path).unlink(missing_ok=True)
    _write(path, entries)


def _write(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(_line(entry) for entry in entries))


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()
