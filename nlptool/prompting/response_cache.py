"""A cache of one model's responses to one task: a file with a line for each instance, so that none is requested
twice.

A line has the digest of the model and of the instance's requests, by which its responses are reused. Lines are
appended as responses arrive, so a run that was stopped resumes after the last whole line. Responses that a later
recipe does not need, e.g. with a smaller `limit`, move to TASK-5.unused.jsonl.
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

MODEL_FILES = ("*config.json", "*.safetensors", "tokenizer*", "vocab*", "merges.txt", "*tokens*.json")
"""The files of a model's folder that decide its responses; generation_config.json has the end tokens."""

RESPONSES = TypeAdapter(list[Response])


def model_digest(folder: Path) -> str:
    """SHA-256 of everything that decides a model's responses: config, weights and tokenizer."""
    paths = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()})
    return _digest([[path.name, manifests.digest(path)] for path in paths])


def request_digest(model: str, requests: Sequence[Any]) -> str:
    """SHA-256 of a model's digest and of everything that decides one instance's responses."""
    return _digest([model, requests])


class ResponseCache:
    """The file of responses at `path`; `entries` are its lines by digest, including unused ones.

    A truncated last line is removed. Raises DataError for any other invalid line.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._unused = path, path.with_suffix(".unused.jsonl")
        self.entries: dict[str, Mapping[str, Any]] = _read(self._unused) | _read(path)

    def add(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Append lines."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        append_line(self.path, "".join(map(_line, entries)).removesuffix("\n"))
        self.entries |= {entry["digest"]: entry for entry in entries}

    def replace(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Replace the file's lines, in this order; other known ones move to the unused ones."""
        used = {entry["digest"] for entry in entries}
        if unused := [entry for digest, entry in self.entries.items() if digest not in used]:
            _write(self._unused, unused)
        else:
            self._unused.unlink(missing_ok=True)
        _write(self.path, entries)


def responses(entry: Mapping[str, Any]) -> list[Response]:
    """The responses of a line."""
    return RESPONSES.validate_python(entry["replies"])


def _read(path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        content = read_bytes(path, "remove it, and only its responses are requested again")
    except FileNotFoundError:
        return {}
    entries: dict[str, Mapping[str, Any]] = {}
    whole, _, rest = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            entry = json.loads(line)
            if not responses(entry):
                raise ValueError
            entries[str(entry["digest"])] = entry
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{path}:{number}: is not a response, or is damaged",
                hint="remove the file, and only its responses are requested again; or start again with --overwrite",
            ) from None
    if rest:
        with path.open("r+b") as file:
            file.truncate(len(whole) + 1 if whole else 0)
    return entries


def _write(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "".join(map(_line, entries)))


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()
