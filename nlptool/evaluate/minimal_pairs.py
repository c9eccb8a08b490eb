"""Minimal pairs: does a model find the good sentence of each pair likelier (BLiMP, Warstadt et al. 2020)?"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from nlptool.errors import DataError
from nlptool.evaluate.interval import Share
from nlptool.evaluate.scoring import Scorer

KEYS = ("sentence_good", "sentence_bad")


class Pair(NamedTuple):
    """Two sentences that differ in one point of grammar."""

    good: str
    bad: str


def read(path: Path, most: int | None = None) -> list[Pair]:
    """Pairs of a JSON-lines file, gzipped or not, as BLiMP's; the first `most` of them.

    Raises DataError with file and line.
    """
    pairs: list[Pair] = []
    try:
        with (
            gzip.open(path, "rt", encoding="utf8")
            if path.suffix == ".gz"
            else path.open(encoding="utf8") as file
        ):
            for number, line in enumerate(file, start=1):
                if len(pairs) == most:
                    break
                if line.strip():
                    pairs.append(_pair(line, f"{path}:{number}"))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return pairs


def accuracy(scorer: Scorer, pairs: Iterable[Pair]) -> Share:
    """The share of pairs whose good sentence scores higher; chance is one half."""
    given = list(pairs)
    scores = scorer.scores([sentence for pair in given for sentence in pair])
    return Share(sum(good > bad for good, bad in zip(scores[::2], scores[1::2], strict=True)), len(given))


def _pair(line: str, where: str) -> Pair:
    try:
        row = json.loads(line)
        return Pair(*(str(row[key]) for key in KEYS))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: expected a JSON object with {' and '.join(KEYS)}", hint=str(error)
        ) from error
