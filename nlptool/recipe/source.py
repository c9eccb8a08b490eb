"""The text of a recipe: YAML 1.2 and key=value, as plain values with their places in the text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nlptool.atomic_files import open_at_once
from nlptool.errors import RecipeError
from nlptool.formatting import counted, json_value
from nlptool.recipe import renamed
from nlptool.recipe.yaml_nodes import DEEPEST, MOST_VALUES, TOO_DEEP, TOO_MANY, NotYamlError, compose

TAG = "tag:yaml.org,2002:"
MOST_BYTES = 1_000_000  # far beyond any recipe
WHOLE = 2**63
LONGEST_NUMBER = 100  # characters
SHOWN = 20  # problems in one message
SHOWN_OF_ARGUMENT = 300  # characters
TAGS = ("null", "bool", "int", "float", "str", "timestamp", "value", "seq", "map")


COMMAND_LINE = "command line: "
"""Prefix of the place of keys from the command line."""


@dataclass(frozen=True)
class Problem:
    """A fault of a recipe: its dotted key (empty: the whole recipe), and what to do."""

    path: str
    message: str


@dataclass
class RecipeSource:
    """A recipe as written, before validation against a schema."""

    name: str
    """The file, for messages."""
    data: dict[str, Any]
    """Mappings, tuples and scalars."""
    places: dict[str, str] = field(default_factory=dict)
    """Place of each dotted key: `recipe.yaml:12` or `command line: train.lr=fast`."""
    problems: list[Problem] = field(default_factory=list)
    """Known faults, e.g. duplicate keys."""
    refused: list[str] = field(default_factory=list)
    """Command-line arguments that could not be applied, and why."""
    notes: list[str] = field(default_factory=list)
    """Side effects of the command line on the file."""
    inherited: dict[str, int] = field(default_factory=dict)
    """Keys inherited from a base recipe: 1, from its base: 2, and so on."""
    values: int = 0
    """Number of values, with blocks, lists and keys."""

    def place(self, path: str) -> str:
        """Place of a key, or of the block that should hold it."""
        while path not in self.places and path:
            path = path.rpartition(".")[0]
        return self.places.get(path, f"{self.name}:1")

    def render(self, problem: Problem) -> str:
        """The problem on one line, place first."""
        place = self.place(problem.path)
        argument = place.partition(COMMAND_LINE)[2]
        named = problem.message.startswith(f"{problem.path} ")
        if named or not problem.path or argument.removeprefix("~").partition("=")[0] == problem.path:
            return f"{place}: {problem.message}"
        return f"{place}: {problem.path}: {problem.message}"

    def refuse(self, problems: Sequence[Problem]) -> None:
        """Raise RecipeError with all problems in the order of their lines, if there are any."""
        rendered = dict.fromkeys(self.render(problem) for problem in problems)
        lines = [*sorted(rendered, key=_by_line), *self.refused]
        if len(lines) == 1:
            raise RecipeError(lines[0])
        if lines:
            shown = lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN:,} more"]
            raise RecipeError("\n  ".join([f"{len(lines):,} problems in {self.name}", *shown]))


def read(path: Path) -> RecipeSource:
    """Read a recipe file. Raises RecipeError where it cannot be read as one YAML mapping."""
    here = Path.cwd()
    name = str(path.relative_to(here) if path.is_relative_to(here) else path)
    try:
        with open_at_once(path) as file:
            written = file.read(MOST_BYTES + 1)
        if len(written) > MOST_BYTES:
            raise RecipeError(f"{name}: more than {MOST_BYTES:,} bytes; a recipe is a short YAML file")
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{name}:{line}: not UTF-8 (byte {error.object[error.start]:#04x})") from None
    except OSError as error:
        raise RecipeError(f"{name}: {error.strerror}") from None
    return parse(text, name)


def parse(text: str, name: str) -> RecipeSource:
    """Read a recipe's text. Raises RecipeError where it is not one YAML mapping."""
    try:
        node = compose(text)
    except NotYamlError as error:
        raise RecipeError(f"{name}:{error.line}: {error.words}") from None
    if node is None:
        raise RecipeError(f"{name}:1: the recipe is empty", hint="nlptool recipes ls shows complete ones")
    if not isinstance(node, MappingNode):
        what = "a list" if isinstance(node, SequenceNode) else "text"
        raise RecipeError(f"{name}:{node.start_mark.line + 1}: expected key: value lines, found {what}")
    source = RecipeSource(name, {})
    source.data = _Reader(source).value(node, "")
    return source


def override(source: RecipeSource, arguments: Sequence[str]) -> None:
    """Apply `a.b=value` and `~a.b` of the command line in order, in place; failures go to `refused`."""
    for given in arguments:
        argument = given if len(given) <= SHOWN_OF_ARGUMENT else f"{given[:SHOWN_OF_ARGUMENT]}..."
        path, equals, text = given.removeprefix("~").partition("=")
        try:
            if given.startswith("~") == bool(equals) or not re.fullmatch(r"[^\s.]+(\.[^\s.]+)*", path):
                raise ValueError("expected key=value or ~key, e.g. train.lr=3e-4 or ~train.stages")
            if path == "extends":
                raise ValueError("a recipe's file extends another; name that recipe itself, or write a file")
            node = compose(text) if equals else None
            if equals and node is None:
                raise ValueError(f"no value after =; write {path}=null or {path}='\"\"'")
            source.data = _changed(source, source.data, "", path.split("."), argument, node)
        except NotYamlError as error:
            quoted = f"; quote it if it is text: {path}='\"...\"'"
            source.refused.append(f"{COMMAND_LINE}{argument}: {error.words}{quoted}")
        except ValueError as error:
            source.refused.append(f"{COMMAND_LINE}{argument}: {error}")


def _changed(
    source: RecipeSource, block: Any, above: str, keys: list[str], argument: str, node: Node | None
) -> Any:
    """A copy of `block`, found under the key `above`, in which the entry at `keys` is `node`, or is removed.

    Raises ValueError with a message that continues after the argument.
    """
    key, rest = keys[0], keys[1:]
    path, place = f"{above}.{key}".removeprefix("."), f"{COMMAND_LINE}{argument}"
    if block is None and node is not None and not key.isdigit():
        block = {}
    if not isinstance(block, dict | tuple):
        what = (
            f"{above} is {json_value(block)}, not a block"
            if block is not None
            else f"the recipe has no {above}"
        )
        raise ValueError(f"{what}; give it whole: {above}=...")
    entries: dict[Any, Any] = dict(enumerate(block)) if isinstance(block, tuple) else dict(block)
    name: str | int = int(key) if isinstance(block, tuple) and key.isdigit() else key
    if name not in entries and (node is None or isinstance(block, tuple)):
        raise ValueError(f"the recipe has no {path}; {_instead(key, above, block)}")
    if rest:
        entries[name] = _changed(source, entries.get(name), path, rest, argument, node)
        source.places.setdefault(path, place)
    else:
        moved = above if isinstance(block, tuple) and node is None else path
        for known in [known for known in source.places if known.startswith(f"{moved}.")]:
            del source.places[known]
        if node is None:
            del entries[name]
        else:
            entries[name] = _Reader(source, place).value(node, path)
        source.places[moved] = place
    return tuple(entries.values()) if isinstance(block, tuple) else entries


def _instead(key: str, above: str, block: dict[str, Any] | tuple[Any, ...]) -> str:
    """The entries of the block or list under `above`, or the one closest to `key`."""
    if isinstance(block, tuple):
        return f"{above} has {counted(len(block), 'entries')}, counted from 0"
    if now := renamed.key(key, block):
        return f"{key} is now " + f"{above}.{now}".removeprefix(".")
    if close := get_close_matches(key, block, 1):
        return "did you mean " + f"{above}.{close[0]}?".removeprefix(".")
    return f"{above or 'it'} holds {', '.join(block) or 'nothing'}"


@dataclass
class _Reader:
    """Converts nodes to plain values; records places and problems in `source`."""

    source: RecipeSource
    place: str | None = None
    """The command-line argument being read; None: the file."""
    open: tuple[Node, ...] = ()
    """The nodes around the current one."""

    def value(self, node: Node, path: str) -> Any:
        if node in self.open:
            raise RecipeError(f"{self._at(node)}: {path}: an alias that contains itself")
        if len(self.open) > DEEPEST:
            raise RecipeError(f"{self._at(node)}: {TOO_DEEP}")
        self.source.values += 1
        if self.source.values > MOST_VALUES:
            raise RecipeError(f"{self._at(node)}: {TOO_MANY}")
        if str(node.tag).removeprefix(TAG) not in TAGS:
            self.source.problems.append(Problem(path, f"a recipe has no tags such as {node.tag}"))
        inner = _Reader(self.source, self.place, (*self.open, node))
        if isinstance(node, MappingNode):
            return inner.mapping(node, path)
        if isinstance(node, SequenceNode):
            entries = []
            for index, item in enumerate(node.value):
                where = f"{path}.{index}" if path else str(index)
                self.source.places[where] = self._at(item)
                entries.append(inner.value(item, where))
            return tuple(entries)
        try:
            return _scalar(str(node.value), str(node.tag).removeprefix(TAG))
        except ValueError as error:
            self.source.problems.append(Problem(path, str(error)))
            return None

    def mapping(self, node: MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise RecipeError(f"{self._at(key_node)}: a key must be a word, not a list or block")
            key = str(key_node.value)
            where = f"{path}.{key}" if path else key
            if key in found:
                first = self.source.places[where]
                self.source.places[where] = self._at(key_node)
                self.source.problems.append(Problem(where, f"given twice; first at {first}"))
            self.source.places[where] = self._at(key_node)
            found[key] = self.value(value_node, where)
        return found

    def _at(self, node: Node) -> str:
        return self.place or f"{self.source.name}:{node.start_mark.line + 1}"


def _scalar(text: str, kind: str) -> Any:
    """The value of a YAML 1.2 scalar; text that only looks like a number stays text.

    Raises ValueError for values that are not supported: very long or large numbers, half a surrogate pair.
    """
    if kind in ("int", "float") and len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} characters; quote it if it is text")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("half of a surrogate pair, which no text can hold")
    digits = text.replace("_", "")
    special = digits.lower().lstrip("+-")
    try:
        if kind == "int":
            whole = int(digits, 0) if re.match(r"[-+]?0[xob]", digits) else int(digits)
        if kind == "float":
            return float(digits.replace(".", "", 1) if special in (".inf", ".nan") else digits)
    except ValueError:
        return text
    if kind == "int":
        if abs(whole) >= WHOLE:
            raise ValueError("a whole number of more than 63 bits; quote it if it is text")
        return whole
    return {"null": None, "bool": text.lower() == "true"}.get(kind, text)


def _by_line(rendered: str) -> tuple[int, int]:
    match = re.match(r".*?:(\d+): ", rendered)
    return (1, 0) if rendered.startswith("command line") or match is None else (0, int(match[1]))
