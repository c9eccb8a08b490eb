"""Numbers and names that no person would write, in every key of every recipe; the keys are those of the schemas."""

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

import world_recipes as made
from hostile import Trial, writing
from hostile_names import NAMES

from nlptool.commands.specs import COMMANDS
from nlptool.formatting import json_value
from nlptool.recipe import RecipeBlock
from nlptool.recipe.field_types import FieldType
from nlptool.recipe.source import parse

RECIPES = {
    "corpus": made.CORPUS, "tokenize": made.TOKENIZE, "knowledge": made.GRAPH, "pretrain-mlm": made.BERT,
    "pretrain-sop": made.BERT.replace("bert", "albert").replace("mlm", "sop"), "pretrain-electra": made.GENERATOR,
    "pretrain-ernie": made.ERNIE, "pretrain-clm": made.READER, "pretrain-transe": made.TRANSE,
    "distill": made.SMALLER, "finetune": made.TUNE, "distill-task": made.TASKWISE, "prompt": made.ASKED,
}  # fmt: skip
NUMBERS = (
    "1e999", "-1e999", ".nan", ".inf", "-.inf", "1000000000", "1e9", "2147483648", "9223372036854775807",
    "9223372036854775808", "1" + "0" * 40, "-1", "0", "-0.0", "08", "0o17", "0x7fffffff", "1_000", "1.5", "5e-324",
    "1e-300", "1e300", "true", "null", "''", "[]", "{}", "[1]", "{a: 1}", "100000", "1 tokens", "1e300 tokens",
    "0 s", "1e-9 flops", "1e18 epochs", "[1e999, 1e999]", "[-1, -1, 3]", "[.nan, 0, 1]", "[1000000000]",
)  # fmt: skip
FURTHER = (
    "/dev/zero",
    "/dev/stdin",
    "..",
    "/",
    ".",
    "~",
    "no",
    "1",
    "[a, b]",
    "a/b/../../..",
    "https://x/y",
    "hf://x",
)
SIZES = ("1000000000", "2147483648", "9223372036854775807", "100000")


def keys(block: type[RecipeBlock], data: Any, before: str = "", after: str = "") -> Iterator[tuple[str, str]]:
    """Every key: what stands before its value in an argument, up to `: `, and what stands behind it."""
    for key, field in block.model_fields.items():
        shape, inner = FieldType.of(field.annotation, field.metadata), (data or {}).get(key)
        path = f"{before}{key}" if before.endswith("{") else f"{before}.{key}".removeprefix(".")
        is_open = "{" in before
        yield (f"{path}: " if is_open else f"{path}="), after
        opened = f"{path}: {{" if is_open else f"{path}={{"
        if shape.chosen:
            for name in shape.chosen.names:
                chosen = f"{opened}name: {name}, "
                yield from _within(shape.chosen.block(name), {}, chosen, f"}}{after}")
        of_block, entry = shape.block(inner), shape.inner(0, inner)
        if of_block is not None and is_open:
            yield from _within(of_block, {}, opened, f"}}{after}")
        elif of_block is not None:
            yield from keys(of_block, inner if isinstance(inner, dict) else {}, path)
        elif entry is not None and (of_entry := entry.block(None)) is not None:
            in_list = opened.removesuffix("{") + "[{"
            yield from _within(of_entry, {}, in_list, f"}}]{after}")
        elif isinstance(inner, dict):
            for name in inner:
                if (named := shape.inner(name, inner)) is not None and (of_name := named.block(inner[name])):
                    yield from keys(of_name, inner[name], f"{path}.{name}")


def _within(block: type[RecipeBlock], data: Any, before: str, after: str) -> Iterator[tuple[str, str]]:
    """The keys of a block that an argument gives whole."""
    for start, end in keys(block, data, "{", after):
        if not (start == "{name: " or start == "name: "):
            yield before + start.removeprefix("{"), end


def _lines(commands: Collection[str]) -> Iterator[tuple[str, str, str, str]]:
    """A command, its recipe's text, and what stands around the value of each key."""
    for spec in COMMANDS:
        if spec.name not in commands:
            continue
        text = RECIPES[spec.name]
        recipe = import_module(f"nlptool.commands.{spec.module}.recipe").Recipe
        for start, end in keys(recipe, parse(text, spec.name).data):
            yield spec.name, text, start, end


def numbers(commands: Collection[str] = tuple(RECIPES)) -> Iterator[Trial]:
    """Each number in each key; a dry run says that it cannot be, before anything is read, or does with it."""
    for command, text, start, end in _lines(commands):
        for number in NUMBERS:
            line = [command, "of.yaml", f"{start}{number}{end}", "--dry-run"]
            yield Trial(f"numbers {command}", f"{number} {start}", writing("of.yaml", text), line)


def names(commands: Collection[str] = tuple(RECIPES)) -> Iterator[Trial]:
    """Each name in each key."""
    for command, text, start, end in _lines(commands):
        for name in (*NAMES, *FURTHER):
            line = [command, "of.yaml", f"{start}{json_value(name)}{end}", "--dry-run"]
            if "\0" not in line[2]:
                yield Trial(f"names {command}", f"{name[:40]} {start}", writing("of.yaml", text), line)
