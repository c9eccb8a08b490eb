"""Predictions written in whole parts, so that a kill or a full disk costs at most one part.

.OUT.nlptool-parts/part-00000.jsonl   a JSON object for each row
.OUT.nlptool-parts/progress.json      their files and model, and the number of finished rows
OUT                                   appears at the end: .jsonl, .csv, .tsv or .parquet
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from nlptool.atomic_files import read_json, read_records, replacing, write_json, write_text
from nlptool.errors import DataError, UsageError

PROGRESS = "progress.json"
REMEDY = "start again with --overwrite"
FAULTS = 20
"""Number of messages about skipped rows that are kept."""


class Progress(NamedTuple):
    """Progress of predictions."""

    rows: int = 0
    """Input rows read."""
    answers: int = 0
    """Output lines written."""
    parts: int = 0
    skipped: int = 0
    """Rows skipped, since they could not be read."""
    faults: tuple[str, ...] = ()
    """Reasons for the first ones."""


class PredictionParts:
    """The parts of one output file. provenance: what decides them; parts of another provenance are refused."""

    def __init__(self, out: Path, provenance: dict[str, Any]) -> None:
        self.out, self.provenance = out, provenance
        self.folder = parts_folder(out)

    def progress(self) -> Progress:
        """The existing progress. Raises UsageError if it belongs to other files or another model."""
        try:
            found = read_json(self.folder / PROGRESS, dict, REMEDY)
        except FileNotFoundError:
            return Progress()
        was = found.pop("provenance", None)
        if was != self.provenance:
            known = was if isinstance(was, dict) else {}
            other = [key for key in self.provenance if known.get(key) != self.provenance[key]]
            raise UsageError(
                f"{self.folder}: these predictions were begun with another {', '.join(other)}",
                hint=f"give the same command, or {REMEDY}",
            )
        try:
            return Progress(**found | {"faults": tuple(found["faults"])})
        except (TypeError, KeyError):
            raise DataError(f"{self.folder / PROGRESS}: cannot be read", hint=REMEDY) from None

    def add(
        self, lines: Iterable[dict[str, Any]], before: Progress, rows: int, faults: list[str]
    ) -> Progress:
        """Write the predictions of some rows. rows: number of input rows read so far."""
        self.folder.mkdir(parents=True, exist_ok=True)
        texts = [json.dumps(line, ensure_ascii=False) for line in lines]
        write_text(self._part(before.parts), "".join(f"{text}\n" for text in texts))
        now = Progress(
            rows,
            before.answers + len(texts),
            before.parts + 1,
            before.skipped + len(faults),
            (*before.faults, *faults)[:FAULTS],
        )
        write_json(self.folder / PROGRESS, {"provenance": self.provenance, **now._asdict()})
        return now

    def finish(self, progress: Progress) -> None:
        """Join the parts into the output, and remove them. Raises DataError."""
        parts = [self._part(number) for number in range(progress.parts)]
        with replacing(self.out, "wb") as file:
            WRITERS[self.out.suffix.lower()](file, parts)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:05}.jsonl"


def parts_folder(out: Path) -> Path:
    """The folder of an output file's parts, under a name that users do not choose."""
    return out.with_name(f".{out.name}.nlptool-parts")


def flat(line: dict[str, Any]) -> dict[str, Any]:
    """A line with nested objects as columns: {"scores": {"yes": 1}} becomes {"scores.yes": 1}."""
    found: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    return found


def _lines(part: Path) -> Iterator[dict[str, Any]]:
    return map(flat, read_records(part, REMEDY))


def _columns(parts: list[Path]) -> list[str]:
    """All columns, in the order of their first occurrence."""
    return list(dict.fromkeys(name for part in parts for line in _lines(part) for name in line))


def _write_jsonl(file: IO[bytes], parts: list[Path]) -> None:
    for part in parts:
        with part.open("rb") as source:
            shutil.copyfileobj(source, file)


def _write_csv(file: IO[bytes], parts: list[Path]) -> None:
    """CSV as in RFC 4180; lists are JSON."""
    columns, text = _columns(parts), io.TextIOWrapper(file, "utf8", newline="", write_through=True)
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    for part in parts:
        rows.writerows([_cell(line.get(name)) for name in columns] for line in _lines(part))
    text.detach()


def _write_tsv(file: IO[bytes], parts: list[Path]) -> None:
    """TSV without quoting, like GLUE's files: a tab or line end within a value becomes a space."""
    columns = _columns(parts)
    file.write(("\t".join(columns) + "\n").encode())
    for part in parts:
        for line in _lines(part):
            cells = (" ".join(_cell(line.get(name)).splitlines()).replace("\t", " ") for name in columns)
            file.write(("\t".join(cells) + "\n").encode())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_parquet(file: IO[bytes], parts: list[Path]) -> None:
    import pyarrow
    import pyarrow.parquet

    try:
        tables = (pyarrow.Table.from_pylist(list(_lines(part))) for part in parts)
        schema = pyarrow.unify_schemas([table.schema for table in tables], promote_options="permissive")
        with pyarrow.parquet.ParquetWriter(file, schema) as writer:
            for part in parts:
                writer.write_table(pyarrow.Table.from_pylist(list(_lines(part)), schema=schema))
    except pyarrow.ArrowException as error:
        raise DataError(
            f"a column that was kept holds values of several types: {error}",
            hint="write .jsonl, which takes any value; --resume auto continues from what is predicted",
        ) from error


WRITERS: dict[str, Callable[[IO[bytes], list[Path]], None]] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
}
"""By the suffix of the output."""
