"""The rows of a labelled task: read and encoded once for all runs of a recipe, then reopened.

OUT/rows/SPLIT.bin .idx .labels   encoded rows
OUT/rows/rows.json                their provenance
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from nlptool import manifests
from nlptool.atomic_files import notify_recomputed, read_json, write_json
from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.manifests import atomic_folder
from nlptool.recipe import digest
from nlptool.tasks.config import TaskConfig
from nlptool.tasks.row_files import files_of, renamed
from nlptool.text import package_rows, tabular
from nlptool.text.coverage import Loss
from nlptool.text.sources import File
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

FACTS = "rows.json"
REMEDY = "remove the folder, and the rows are made anew"


class Encodes(Protocol):
    """The type of TaskObjective.encode."""

    def __call__(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Write the rows of a split, and return their number."""
        ...


@dataclass(frozen=True)
class LabelledSource:
    """The source of a task's rows."""

    task: TaskConfig
    data: str | None
    """A folder with a file for each split, or the file of a single split; None: the task's own source."""
    splits: tuple[str, ...] | None = None
    """The splits to read, all with labels; None: those of the task."""
    left_out: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set), compare=False)
    """Places of the rows left out, by split."""

    def read(self, split: str) -> Iterator[Row]:
        """The rows of a split, without those left out."""
        if not self._holds_out or split not in (self.task.train, *self.task.validation):
            return self._rows(split)
        return self._divided(held_out=split != self.task.train)

    @property
    def _holds_out(self) -> bool:
        """Whether validation rows are held out of the training rows; not if a folder is given for scoring."""
        return self.task.holdout is not None and (self.splits is None or self.data is None)

    def _rows(self, split: str) -> Iterator[Row]:
        """The rows of a split in a file or data set."""
        task = self.task
        source = task.source_of(split)
        if (files := self.files(split)) is not None:
            found = tabular.read(files, task.columns)
        else:
            assert source is not None  # the check of the recipe has made sure
            if source.hub is not None:
                found = tabular.hub(source.hub, source.name, Path(split).name)
            else:
                found = package_rows.read(source, Path(split).name)
        rows: Iterator[Row] = chain.from_iterable(map(task.flat, found))
        if task.rename_columns:
            rows = (renamed(row, task.rename_columns) for row in rows)
        if split in task.test and self.splits is None:
            return rows
        return (row for row in rows if not self._leaves_out(split, row))

    def _leaves_out(self, split: str, row: Row) -> bool:
        if not self.task.is_left_out(row):
            return False
        self.left_out[split].add(row.place)
        return True

    def _divided(self, *, held_out: bool) -> Iterator[Row]:
        """The training rows that are held out, or the others."""
        limits = self._limits
        for row in self._rows(self.task.train):
            if (self._digest(row) <= limits[self.task.stratum(row)]) == held_out:
                yield row

    def _digest(self, row: Row) -> bytes:
        """Digest of a row's input, so that equal rows are in one split."""
        columns = self.task.text_columns
        read = [row.get(column) for column in columns] if columns else row.values
        text = json.dumps(read, sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.blake2b(text.encode("utf8", "surrogatepass"), digest_size=8).digest()

    @cached_property
    def _limits(self) -> dict[str, bytes]:
        """For each stratum the highest digest of a held-out row; equal rows stay together."""
        share, found = self.task.holdout, defaultdict[str, list[bytes]](list)
        assert share is not None
        for row in self._rows(self.task.train):
            found[self.task.stratum(row)].append(self._digest(row))
        limits = {}
        for stratum, digests in found.items():
            digests.sort()
            limit = digests[max(1, round(share * len(digests))) - 1]
            # If all rows are equal, all are training rows.
            limits[stratum] = limit if limit < digests[-1] else b""
        return limits

    def prepare(
        self,
        tokenizer: Tokenizer,
        encode: Encodes,
        folder: Path,
        watch: Callable[[str, Iterator[Row]], Iterator[Row]],
        note: Callable[[str], None],
    ) -> None:
        """Encode all splits into `folder`, unless it has just these rows already.

        encode: writes rows for the kind of task. watch: wraps the rows of a split to show progress. note: receives
        notes on losses. Raises DataError for an invalid row, with its file and line; for a split that is missing or
        empty; and where `folder` has other rows.
        """
        provenance = self._provenance(tokenizer)
        if (before := _whole(folder)) is not None:
            if tokenizer.is_called(str(before.get("fingerprint"))):  # also by its name in an older version
                before["fingerprint"] = tokenizer.fingerprint
            other = {key for key, value in provenance.items() if before.get(key) != value}
            if not other:
                return
            if other != {"task"}:
                raise DataError(
                    f"{folder}: these rows were made of other files, or with another tokenizer",
                    hint="put these back, or start again with --overwrite",
                )
            # A resumed run has the same task keys (runs/folder), so only new defaults can differ.
            notify_recomputed(f"{folder}: these rows were written with other keys of the task", "they are")
        counts, loss = {}, Loss()
        with atomic_folder(folder) as aside:
            for split in provenance["splits"]:
                labelled = self.splits is not None or split not in self.task.test
                (aside / split).parent.mkdir(exist_ok=True)
                rows, counting = watch(split, self.read(split)), tokenizer.counting(loss)
                counts[split] = encode(rows, counting, aside / split, labelled=labelled)
                if not counts[split]:
                    raise self._empty(split)
            # Each of several tasks has its folder.
            written = sorted(path for path in aside.rglob("*") if path.is_file())
            digests = {path.relative_to(aside).as_posix(): manifests.digest(path) for path in written}
            write_json(aside / FACTS, provenance | {"rows": counts, "files": digests})
        for split, places in self.left_out.items():
            note(f"{split}: {counted(len(places), 'rows')} left out, as the task's label_map says")
        if loss.unknown or loss.lost:
            note(f"the tokenizer cannot spell all of the task's texts: {loss}")

    def _provenance(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """Everything that decides the rows. Local files are identified by name and size; test splits may be missing."""
        task = self.task
        wanted = self.splits or (*task.train_splits, *task.validation)
        splits: dict[str, Any] = {}
        for split in dict.fromkeys((*wanted, *(task.test if self.splits is None else ()))):
            held_out = self._holds_out and split in task.validation
            found = self.files(task.train if held_out else split, optional=split not in wanted)
            if found is None:
                splits[split] = None
            elif found:
                splits[split] = [[file.path.name, file.size] for file in found]
        return {"fingerprint": tokenizer.fingerprint, "task": digest(task), "splits": splits}

    def _empty(self, split: str) -> DataError:
        files = self.files(self.task.train if self._holds_out else split)
        where = ", ".join(str(file.path) for file in files) if files else str(self.task.source_of(split))
        if self._holds_out:
            return DataError(
                f"{where}: too few different rows to hold any out for validation",
                hint="name a folder with a file of validation rows, or add rows",
            )
        return DataError(f"{where}: the split {split} has no row")

    @staticmethod
    def is_file(data: str) -> bool:
        """Whether rows come from one file."""
        return Path(data).is_file()

    def files(self, split: str, *, optional: bool = False) -> list[File] | None:
        """Files of a split: of A/B, those of B in the folder A; None if its rows are not in files.

        optional: return an empty list if there are none. Raises DataError for a missing file.
        """
        source = self.task.source_of(split)
        at: str | dict[str, str] | None = None if source is None else source.files
        if self.data is not None:
            at = {split: self.data} if self.is_file(self.data) else self.data
        return None if at is None else files_of(self.task, at, split, optional=optional)


def opened(folder: Path) -> dict[str, Split]:
    """The splits written by `prepare`."""
    facts = read_json(folder / FACTS, dict, REMEDY)
    return {name: Split(folder / name) for name in facts["rows"]}


def _whole(folder: Path) -> dict[str, Any] | None:
    """The record of intact rows; None if there are none, or they must be encoded again."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    if why := fault(folder):
        notify_recomputed(str(folder / why), "the rows are")
        return None
    return read_json(folder / FACTS, dict, REMEDY)


def fault(folder: Path) -> str | None:
    """Why rows are damaged; None if they are not."""
    try:
        facts = read_json(folder / FACTS, dict, REMEDY)
        if not isinstance(facts.get("rows"), dict):
            return f"{FACTS} names no rows"
        for name, written in facts.get("files", {}).items():  # missing in folders of older versions
            if manifests.digest(folder / name) != written:
                return f"{name} is not what was written (its digest differs)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except DataError as error:
        return error.message.removeprefix(f"{folder}{os.sep}")
    except (OSError, AttributeError, TypeError):
        return f"{FACTS} cannot be read"
    return None
