"""The rows of a labelled task: read and encoded once for all runs of a recipe, then opened.

OUT/rows/SPLIT.bin .idx .labels   encoded rows
OUT/rows/rows.json                what they were made of
"""

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from nlptool import manifests
from nlptool.atomic_files import read_json, write_json
from nlptool.commands.finetune.recipe import Recipe
from nlptool.console import Console, Progress
from nlptool.errors import DataError
from nlptool.manifests import atomic_folder
from nlptool.recipe import digest
from nlptool.text import tabular
from nlptool.text.columns import SUFFIXES
from nlptool.text.coverage import Loss
from nlptool.text.sources import File
from nlptool.text.store import Split
from nlptool.text.tabular import Row
from nlptool.text.tokenizer import Tokenizer

FACTS = "rows.json"
REMEDY = "remove the folder, and the rows are made anew"
OFTEN = 1000  # rows between two looks at the progress


class Encodes(Protocol):
    """As TaskObjective.encode."""

    def __call__(self, rows: Iterable[Row], tokenizer: Tokenizer, prefix: Path, *, labelled: bool) -> int:
        """Write the rows of a split; returns how many there are."""
        ...


def prepare(recipe: Recipe, tokenizer: Tokenizer, encode: Encodes, folder: Path, console: Console) -> None:
    """Encode all splits into `folder`, unless it holds just these rows already.

    encode: how the kind of task writes rows.
    Raises DataError for what is wrong with a row, with its file and line; for a split that is missing or empty; and
    where `folder` holds other rows.
    """
    made_of = _made_of(recipe, tokenizer)
    if (before := _whole(folder, console)) is not None:
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
            labelled = split not in recipe.task.test
            with console.progress(f"encoding {split}", None, "rows") as bar:
                watched = _watched(read(recipe, split), bar)
                (aside / split).parent.mkdir(exist_ok=True)
                counts[split] = encode(watched, tokenizer.counting(loss), aside / split, labelled=labelled)
            if not counts[split]:
                raise DataError(
                    f"{recipe.data or recipe.task.source_of(split)}: the split {split} has no row"
                )
        written = sorted(
            path for path in aside.rglob("*") if path.is_file()
        )  # tasks of several have a folder each
        digests = {path.relative_to(aside).as_posix(): manifests.digest(path) for path in written}
        write_json(aside / FACTS, made_of | {"rows": counts, "files": digests})
    if loss.unknown or loss.lost:
        console.note(f"the tokenizer cannot spell all of the task's texts: {loss}")


def opened(folder: Path) -> dict[str, Split]:
    """The splits that `prepare` has written."""
    facts = read_json(folder / FACTS, dict, REMEDY)
    return {name: Split(folder / name) for name in facts["rows"]}


def _whole(folder: Path, console: Console) -> dict[str, Any] | None:
    """What is known of rows that are as they were written; None where there are none, or they are to be made anew."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    if why := fault(folder):
        console.note(f"{folder / why}; the rows are made anew")
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


def _made_of(recipe: Recipe, tokenizer: Tokenizer) -> dict[str, Any]:
    """What decides the rows. Of local files their names and sizes; test splits may be missing."""
    task = recipe.task
    wanted = (*task.learnt, *task.validation)
    splits: dict[str, Any] = {}
    for split in (*wanted, *task.test):
        if recipe.data is None:
            splits[split] = None
            continue
        if split in task.test and "/" in split and not (Path(recipe.data) / split).parent.is_dir():
            continue
        found = _files(recipe, split)
        if not found and split in wanted:
            folder = (Path(recipe.data) / split).parent
            there = ", ".join(sorted(path.name for path in folder.iterdir())[:8])
            raise DataError(
                f"{folder}: no file for the split {Path(split).name}; the folder holds {there or 'nothing'}",
                hint=f"name it {Path(split).name}.jsonl, .csv, .tsv or .parquet (also .gz, .bz2, .xz, .zst)"
                + (f"; CoNLL's columns: {', '.join(SUFFIXES)}" if task.columns else ""),
            )
        if found:
            splits[split] = [[file.path.name, file.size] for file in found]
    return {"fingerprint": tokenizer.fingerprint, "task": digest(task), "splits": splits}


def read(recipe: Recipe, split: str) -> Iterator[Row]:
    """The rows of a split."""
    task = recipe.task
    if recipe.data is not None:
        found = tabular.read(_files(recipe, split))
    else:
        source = task.source_of(split)
        assert source is not None  # as the check of the recipe has made sure
        found = tabular.hub(source.hub, source.name, Path(split).name)
    return chain.from_iterable(map(task.flat, found))


def _files(recipe: Recipe, split: str) -> list[File]:
    """Files of the recipe's data: of split A/B, those of B in the folder A."""
    assert recipe.data is not None
    path = Path(recipe.data) / split
    return tabular.files(path.parent, path.name, columns=recipe.task.columns)


def _watched(found: Iterator[Row], bar: Progress) -> Iterator[Row]:
    number = 0
    for number, row in enumerate(found, start=1):
        if number % OFTEN == 0:
            bar.to(number)
        yield row
    bar.to(number)
