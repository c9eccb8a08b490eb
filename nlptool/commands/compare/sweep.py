"""`--vary KEY=V1,V2`: one recipe becomes several, one for each combination of values. Nothing heavy is imported."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.tokenize.recipe import Recipe as StoreRecipe
from nlptool.errors import UsageError

OPENING, CLOSING, QUOTES = "[{", "]}", "'\""
LONGEST = 80  # characters of a folder's name
QUESTIONS = ("objective", "train.stages", "train.sequence_length")
BUDGET = ("train.steps", "train.budget")


class Variation(NamedTuple):
    """A key and its values, as written."""

    key: str
    values: tuple[str, ...]


class Cell(NamedTuple):
    """One combination of values."""

    name: str
    """E.g. `share=none,mask_rate=.15`."""
    values: dict[str, str]
    """By key, as written."""

    @property
    def changes(self) -> list[str]:
        """As changes on a command line."""
        return [f"{key}={value}" for key, value in self.values.items()]

    @property
    def folder(self) -> str:
        """Its folder name; a digest distinguishes names that differ only in characters not allowed in folders."""
        plain = re.sub(r"[^\w.,=+-]+", "-", self.name)[:LONGEST]
        return (
            plain if plain == self.name else f"{plain}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"
        )


def read(given: Sequence[str]) -> list[Variation]:
    """The variations of the command line. Raises UsageError for an invalid sweep, or one with unequal budgets."""
    found = [_variation(one) for one in given]
    keys = [variation.key for variation in found]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"--vary {key}: is given twice", hint=f"give all values at once: {key}=V1,V2,V3")
        other = next((other for other in keys if other != key and f"{other}.".startswith(f"{key}.")), None)
        if other is not None:
            raise UsageError(f"--vary {key}: holds {other}, which varies too", hint="vary one of the two")
    return found


def cells(variations: Sequence[Variation]) -> Iterator[Cell]:
    """All combinations of values; the last variation changes fastest."""
    keys = [variation.key for variation in variations]
    ends = [key.rpartition(".")[2] for key in keys]
    shown = [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]
    for values in product(*(variation.values for variation in variations)):
        name = ",".join(f"{key}={value}" for key, value in zip(shown, values, strict=True))
        yield Cell(name, dict(zip(keys, values, strict=True)))


def _variation(given: str) -> Variation:
    key, equals, text = given.partition("=")
    values = tuple(value.strip() for value in _split(text))
    example = "e.g. --vary model.share=none,all"
    if not equals or not key.strip() or key.startswith("~"):
        raise UsageError(f"--vary {given}: expected KEY=VALUE,VALUE", hint=example)
    if not all(values):
        raise UsageError(f"--vary {given}: a value is empty", hint=f'{example}; a text without letters is ""')
    if len(values) == 1:
        raise UsageError(
            f"--vary {given}: one value is nothing to compare",
            hint=f"give several, with commas between, or set the key for all runs: {given}",
        )
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise UsageError(f"--vary {given}: {twice} is given twice")
    _require_same_budget(key)
    return Variation(key, values)


def _require_same_budget(key: str) -> None:
    """Raise UsageError for a key whose runs would not read the same tokens for the same budget."""
    first = key.partition(".")[0]
    if key in BUDGET:
        raise UsageError(
            f"--vary {key}: all runs of a comparison have the same budget",
            hint="each run's figures are kept at every checkpoint: train the longest (save.every, save.keep_last)",
        )
    if first == "store" or (first in StoreRecipe.model_fields and first not in Recipe.model_fields):
        raise UsageError(
            f"--vary {key}: changes the token store, and losses on other tokens do not compare",
            hint="make a store for each value with nlptool tokenize, pretrain on each, and compare bits per byte: "
            "nlptool evaluate MODEL --store STORE",
        )
    if first == "seed":
        raise UsageError(f"--vary {key}: seeds cannot be varied", hint="--seeds 3")
    if first == "out":
        raise UsageError(
            f"--vary {key}: each run has its folder in that of the comparison", hint="--out FOLDER"
        )


def _split(text: str) -> Iterator[str]:
    """Split the values at commas outside of brackets and quotes."""
    depth, quote, start = 0, "", 0
    for at, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in QUOTES:
            quote = sign
        elif sign in OPENING or sign in CLOSING:
            depth += 1 if sign in OPENING else -1
        elif sign == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def remark(variations: Sequence[Variation]) -> str | None:
    """A note where the varied keys change the held-out task; None if held-out losses are comparable."""
    keys = [one.key for one in variations if one.key.startswith(QUESTIONS)]
    if not keys:
        return None
    return (
        f"held-out rows are masked and cut as {' and '.join(keys)} of each run says, so losses and accuracies are of "
        "different questions; --minimal-pairs or --suite asks all runs the same"
    )
