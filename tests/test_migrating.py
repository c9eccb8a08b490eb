"""docs/migrating.md: every key in its tables exists, with the stated defaults and values."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

import pages
import pytest
from ruamel.yaml import YAML

from nlptool.commands.specs import COMMANDS
from nlptool.recipe.keys import Key, keys

PAGE = (pages.ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
BLOCKS = {
    "pretrain-mlm": ("mlm", "bert"),
    "pretrain-electra": ("electra", "electra"),
    "pretrain-sop": ("sop", "albert"),
    "pretrain-clm": ("clm", "gpt2"),
    "finetune": None,
}
"""Objective and model of each command, whose defaults the page shows."""
ROOMS = ("model", "train", "objective", "evaluate", "save", "tokenizer", "source", "dropout")


class Row(NamedTuple):
    """A row of a table."""

    command: str
    names: list[str]
    """Its keys."""
    value: str | None
    """A value of the key that stands for the flag."""
    default: str


def rows() -> Iterator[Row]:
    for section in PAGE.split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        if (command := re.search(r": `([\w-]+)`$", heading)) is None:
            continue
        for line in text.splitlines():
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            if len(cells) != 4 or not cells[2].startswith("`"):  # prose, or the head of a table
                continue
            names, _, value = re.split(r"(: |, e\.g\.)", cells[2] + ": ", maxsplit=1)
            given = re.match(r"`(\w+)`", value)
            yield Row(
                command[1],
                re.findall(r"`([\w.]+)[`=]", names),
                given[1] if given else None,
                cells[3].partition(":")[0],
            )


def schema(command: str) -> dict[str, Key]:
    spec = next(one for one in COMMANDS if one.name == command)
    recipe = import_module(f"nlptool.commands.{spec.module}.recipe").Recipe
    chosen = BLOCKS[command]
    data = None if chosen is None else {"objective": {"name": chosen[0]}, "model": {"name": chosen[1]}}
    return {key.path: key for key in keys(recipe, data, command)}


@pytest.mark.parametrize("command", BLOCKS)
def test_every_key_of_the_tables_is_there_with_its_default(command: str):
    known, mine = schema(command), [row for row in rows() if row.command == command]
    assert len(mine) > 10
    for row in mine:
        assert row.names, row
        found = [known[name].default for name in row.names]
        if row.default:
            written = row.default if len(found) == 1 else f"[{row.default}]"
            wanted = [number(one) for one in found]
            assert number(written) == (wanted[0] if len(wanted) == 1 else wanted), row
        else:
            assert set(found) <= {None, "null"}, row
        if row.value is not None:
            assert row.value in known[row.names[0]].values(), row


def number(written: str | None) -> object:
    """A value of YAML 1.2, in which 1e-4 is a number."""
    return None if written is None else YAML(typ="safe").load(written)


def test_every_key_in_the_prose_is_one():
    known = {
        key.path
        for spec in COMMANDS
        for key in keys(import_module(f"nlptool.commands.{spec.module}.recipe").Recipe, command=spec.name)
    }
    named = re.findall(rf"`((?:{'|'.join(ROOMS)})\.(?!py`)[\w.]+?)(?:=[^`]*)?`", PAGE)
    assert len(named) > 50
    assert set(named) <= known
