"""The rows of a labelled task: read and encoded once for all runs of a recipe, then opened.

OUT/rows/SPLIT.bin .idx .labels   encoded rows
OUT/rows/rows.json                what they were made of
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from nlptool import manifests
from nlptool.atomic_files import read_json, write_json
from nlptool.errors import DataError
from nlptool.manifests import atomic_folder
from nlptool.recipe import digest
from nlptool.tasks.config import TaskConfig
from nlptool.text import package_rows, tabular
from nlptool.text.columns import SUFFIXES
from nlptool.text.coverage import Loss
from nlptool.text.sources import File
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

FACTS = "rows.json"
REMEDY = "remove the folder, and the rows are made anew"


class Encodes(Protocol):
    """As TaskObjective.encode."""

    def __call__(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Write the rows of a split; returns how many there are."""
        ...


@dataclass(frozen=True)
class LabelledSource:
    """Where the rows of a task come from."""

    task: TaskConfig
    data: str | None
    """A folder with a file for each split; None: the task's own source."""
    splits: tuple[str, ...] | None = None
    """Those that are read, all with labels; None: those of the task."""

    def read(self, split: str) -> Iterator[Row]:
        """The rows of a split."""
        if self.data is not None:
            found = tabular.read(self._files(self.data, split))
        else:
            source = self.task.source_of(split)
            assert source is not None  # as the check of the recipe has made sure
            if source.hub is not None:
                found = tabular.hub(source.hub, source.name, Path(split).name)
            else:
                found = package_rows.read(source, split)
        return chain.from_iterable(map(self.task.flat, found))

    def prepare(
        self,
        tokenizer: Tokenizer,
        encode: Encodes,
        folder: Path,
        watch: Callable[[str, Iterator[Row]], Iterator[Row]],
        note: Callable[[str], None],
    ) -> None:
        """Encode all splits into `folder`, unless it holds just these rows already.

        encode: how the kind of task writes rows. watch: passes the rows of a split on, and shows how far it is.
        note: tells what was lost, or is made anew.
        Raises DataError for what is wrong with a row, with its file and line; for a split that is missing or empty; and
        where `folder` holds other rows.
        """
        made_of = self._made_of(tokenizer)
        if (before := _whole(folder, note)) is not None:
            if tokenizer.is_called(str(before.get("fingerprint"))):  # also by its name in an older version
                before["fingerprint"] = tokenizer.fingerprint
            if {key: before.get(key) for key in made_of} != made_of:
                raise DataError(
                    f"{folder}: these rows were made of other files, or with another tokenizer",
                    hint="put these back, or start again with --overwrite",
                )
            return
        counts, loss = {}, Loss()
        with atomic_folder(folder) as aside:
            for split in made_of["splits"]:
                labelled = self.splits is not None or split not in self.task.test
                (aside / split).parent.mkdir(exist_ok=True)
                rows, counting = watch(split, self.read(split)), tokenizer.counting(loss)
                counts[split] = encode(rows, counting, aside / split, labelled=labelled)
                if not counts[split]:
                    raise DataError(
                        f"{self.data or self.task.source_of(split)}: the split {split} has no row"
                    )
            # Tasks of several have a folder each.
            written = sorted(path for path in aside.rglob("*") if path.is_file())
            digests = {path.relative_to(aside).as_posix(): manifests.digest(path) for path in written}
            write_json(aside / FACTS, made_of | {"rows": counts, "files": digests})
        if loss.unknown or loss.lost:
            note(f"the tokenizer cannot spell all of the task's texts: {loss}")

    def _made_of(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """What decides the rows. Of local files their names and sizes; test splits may be missing."""
        task, data = self.task, self.data
        wanted = self.splits or (*task.learnt, *task.validation)
        splits: dict[str, Any] = {}
        for split in dict.fromkeys((*wanted, *(task.test if self.splits is None else ()))):
            if data is None:
                splits[split] = None
                continue
            if split not in wanted and "/" in split and not (Path(data) / split).parent.is_dir():
                continue
            found = self._files(data, split)
            if not found and split in wanted:
                raise self._missing((Path(data) / split).parent, Path(split).name)
            if found:
                splits[split] = [[file.path.name, file.size] for file in found]
        return {"fingerprint": tokenizer.fingerprint, "task": digest(task), "splits": splits}

    def _missing(self, folder: Path, split: str) -> DataError:
        return DataError(
            f"{folder}: no file for the split {split}; the folder holds {tabular.listing(folder)}",
            hint=f"name it {split}.jsonl, .csv, .tsv or .parquet (also .gz, .bz2, .xz, .zst)"
            + (f"; CoNLL's columns: {', '.join(SUFFIXES)}" if self.task.columns else ""),
        )

    def _files(self, data: str, split: str) -> list[File]:
        """Files of a split: of A/B, those of B in the folder A."""
        path = Path(data) / split
        return tabular.files(path.parent, path.name, columns=self.task.columns)


def opened(folder: Path) -> dict[str, Split]:
    """The splits that `prepare` has written."""
    facts = read_json(folder / FACTS, dict, REMEDY)
    return {name: Split(folder / name) for name in facts["rows"]}


def _whole(folder: Path, note: Callable[[str], None]) -> dict[str, Any] | None:
    """What is known of rows that are as they were written; None where there are none, or they are to be made anew."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    if why := fault(folder):
        note(f"{folder / why}; the rows are made anew")
        return None
    return read_json(folder / FACTS, dict, REMEDY)


def fault(folder: Path) -> str | None:
    """Why rows are not as they were written; None where they are."""
    try:
        facts = read_json(folder / FACTS, dict, REMEDY)
        if not isinstance(facts.get("rows"), dict):
            return f"{FACTS} names no rows"
        for name, written in facts.get("files", {}).items():  # none in folders of older versions
            if manifests.digest(folder / name) != written:
                return f"{name} is not what was written (its digest differs)"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except DataError as error:
        return error.message.removeprefix(f"{folder}{os.sep}")
    except (OSError, AttributeError, TypeError):
        return f"{FACTS} cannot be read"
    return None
