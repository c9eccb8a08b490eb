"""`nlptool recipes`: the shipped recipes."""

import re
from pathlib import Path

from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.recipe import catalog

# The end of a sentence, not of "et al." or "...".
END = re.compile(r"(?<!\bal)(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\.)\.(?:\s|$)")
ROOMS = {
    "tasks": "tasks: finetune ... task=glue/sst2",
    "prompted-tasks": "prompted tasks: prompt ... tasks=blimp",
    "experiments": "experiments: reproduce NAME",
    "suites": "suites: evaluate ... --suite glue, compare ... --suite glue",
}


def ls(room: str | None, console: Console, *, as_json: bool) -> None:
    """List names and descriptions, all or those of a folder. Raises UsageError for an unknown folder."""
    found = {name: _first_sentence(path) for name, path in catalog.shipped().items()}
    rooms = list(dict.fromkeys(name.partition("/")[0] for name in found))
    if room is not None:
        if room not in rooms:
            raise UsageError(f"no recipes called {room}/...", hint=f"one of {', '.join(rooms)}")
        found = {name: description for name, description in found.items() if name.startswith(f"{room}/")}
    if as_json:
        console.json(found)
        return
    titles = [ROOMS.get(name.partition("/")[0], "recipes: nlptool COMMAND RECIPE") for name in found]
    for title in dict.fromkeys(titles):
        rows = [row for row, of in zip(found.items(), titles, strict=True) if of == title]
        console.table(("name", "what it is"), rows, title=title)
        console.result("")


def show(name: str, console: Console) -> None:
    """Print a recipe. Raises RecipeError for an unknown name."""
    console.result(catalog.find(name).read_text("utf8").rstrip())


def cp(name: str, target: Path, console: Console) -> None:
    """Copy a recipe to a new file, or into a folder. Raises UsageError where the file exists."""
    source = catalog.find(name)
    path = target / source.name if target.is_dir() else target
    if path.exists():
        raise UsageError(f"{path}: exists already", hint="name another file; nothing is overwritten")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder", hint=f"mkdir -p {path.parent}")
    with path.open("x", encoding="utf8") as file:
        file.write(source.read_text("utf8"))
    console.note(f"{path}: copied from {name}")


def _first_sentence(path: Path) -> str:
    """The first sentence of a recipe's header."""
    comment = path.read_text("utf8").partition("\n#\n")[0].partition("\n\n")[0]
    text = " ".join(line.removeprefix("#").strip() for line in comment.splitlines() if line.startswith("#"))
    sentence = END.split(text, maxsplit=1)[0]
    return sentence if sentence.endswith(("?", "!")) else f"{sentence}."
