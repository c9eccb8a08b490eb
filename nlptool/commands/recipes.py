"""`nlptool recipes`: the recipes that come with nlptool."""

from pathlib import Path

from nlptool.console import Console
from nlptool.errors import UsageError
from nlptool.recipe import shelf


def ls(console: Console, *, as_json: bool) -> None:
    """List names and first lines."""
    found = {name: _first_line(path) for name, path in shelf.shipped().items()}
    if as_json:
        console.json(found)
    else:
        console.table(("recipe", "what it is"), list(found.items()))


def show(name: str, console: Console) -> None:
    """Print a recipe. Raises RecipeError for an unknown name."""
    console.result(shelf.find(name).read_text("utf8").rstrip())


def cp(name: str, target: Path, console: Console) -> None:
    """Copy a recipe to a new file, or into a folder. Raises UsageError where something is there already."""
    source = shelf.find(name)
    path = target / source.name if target.is_dir() else target
    if path.exists():
        raise UsageError(f"{path}: exists already", hint="name another file; nothing is overwritten")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder", hint=f"mkdir -p {path.parent}")
    with path.open("x", encoding="utf8") as file:
        file.write(source.read_text("utf8"))
    console.note(f"{path}: copied from {name}")


def _first_line(path: Path) -> str:
    line = next(iter(path.read_text("utf8").splitlines()), "")
    return line.removeprefix("#").strip() if line.startswith("#") else ""
