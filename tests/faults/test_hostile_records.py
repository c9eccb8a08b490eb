"""JSON files of all kinds of folder whose members are something else: a result, or one line that names the file.

A file that was cut is no JSON; one that was edited, or that another program wrote, is, and holds what nobody expects.
"""

import json
from collections.abc import Iterator

import pytest
from hostile import Change, Trial, campaign
from hostile_models import NUMBERS, OTHERS
from trials import MOST
from worlds import KINDS, Kind, world_of

VALUES = (*NUMBERS, *OTHERS[:12], "\x1b[31m\u202e", '"><xhostile onhostile=1>', "a|b", "x" * 5_000, ...)
Keys = tuple[str | int, ...]


def trials(kind: Kind) -> Iterator[Trial]:
    """Each member of each JSON file with each value, under each command that reads the folder."""
    world = world_of(kind.make)
    for path in sorted((world / kind.target).rglob("*.json*")):
        name = str(path.relative_to(world))
        if path.suffix not in (".json", ".jsonl") or "/hf/" in name or path.name == "tokenizer.json":
            continue
        for line, text in enumerate(
            path.read_text("utf8").splitlines()[:2] if path.suffix == ".jsonl" else [path.read_text("utf8")]
        ):
            for keys in members(json.loads(text)):
                for value in VALUES:
                    for command in kind.readers.values():
                        what = f"{name} {'.'.join(map(str, keys))}={value!r:.40}"
                        yield Trial(kind.name, what, setting(name, line, keys, value), command.split())


def members(value: object, before: Keys = ()) -> Iterator[Keys]:
    """Where values are, blocks and lists included; of a list, the first."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, one in inner:
        yield (*before, key)
        yield from members(one, (*before, key))


def setting(name: str, line: int, keys: Keys, value: object) -> Change:
    """Give a member of a file another value; `...` takes it out."""

    def change(world) -> None:
        path = world / name
        lines = path.read_text("utf8").splitlines() if name.endswith(".jsonl") else [path.read_text("utf8")]
        whole = inner = json.loads(lines[line])
        for key in keys[:-1]:
            inner = inner[key]
        if value is ...:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
        lines[line] = json.dumps(whole)
        path.write_text("".join(f"{one}\n" for one in lines))

    return change


def test_some_members_that_are_something_else_end_in_one_line():
    for kind in KINDS[1:3]:
        campaign(f"records: {kind.name}", world_of(kind.make), trials(kind), 1).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_members_that_are_something_else_end_in_one_line(kind: Kind):
    campaign(f"records: {kind.name}", world_of(kind.make), trials(kind), MOST or 500).require_right()
