"""Minimal pairs: whether a model scores the good sentence higher (BLiMP, Warstadt et al. 2020). No torch here.

Rows are read as by the prompted task `blimp`.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nlptool.errors import DataError
from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.prompting.multiple_choice.config import Config
from nlptool.text import tabular
from nlptool.text.sources import File

if TYPE_CHECKING:
    from nlptool.evaluation.scoring import Scorer

Pair = tuple[str, str]
"""A good sentence and a bad one, each with the leading space of lm-eval 0.4."""

BLIMP = Config(prompt="", choices=("{sentence_good}", "{sentence_bad}"), label=0)


def read(folder: Path, most: int | None = None) -> dict[str, list[Pair]]:
    """The first `most` pairs of each file, by its name without suffixes.

    Raises DataError for a folder without such files, for a file without a pair, and with file and line for an
    invalid row.
    """
    found = [file for path in sorted(folder.glob("*")) if (file := tabular.of_rows(path)) is not None]
    if not found:
        raise DataError(
            f"{folder}: holds no file with minimal pairs",
            hint="rows of sentence_good and sentence_bad, as .jsonl, .csv, .tsv or .parquet (also .gz, .xz)",
        )
    by_name: dict[str, File] = {}
    for file in found:
        other = by_name.setdefault(name := file.path.name.partition(".")[0], file)
        if other is not file:
            raise DataError(
                f"{folder}: two files called {name}: {other.path.name}, {file.path.name}",
                hint="rename or remove one of them",
            )
    pairs = {name: list(islice(_pairs(file), most)) for name, file in by_name.items()}
    if empty := [file.path for name, file in by_name.items() if not pairs[name]]:
        raise DataError(f"{empty[0]}: holds no minimal pair", hint="fill it, or remove it from the folder")
    return pairs


def _pairs(file: File) -> Iterator[Pair]:
    for row in tabular.read([file]):
        good, bad = BLIMP.instance(row, "").answers
        yield good, bad


def accuracy(scorer: "Scorer", pairs: Sequence[Pair]) -> Proportion:
    """The share of pairs whose good sentence scores higher; chance is one half."""
    scores = scorer.scores([sentence for pair in pairs for sentence in pair])
    better = sum(good > bad for good, bad in zip(scores[::2], scores[1::2], strict=True))
    return Proportion(better, len(pairs))
