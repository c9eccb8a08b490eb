"""The folder is the registry: objective "mlm" is the package nlptool/objectives/mlm.

Each entry is a folder with a `config.py` (its recipe block, importable without torch) and the module that does the
work (`net.py` for a model family, `objective.py` for an objective or a kind of task). A new entry is a new
folder; no list is kept.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nlptool.recipe import RecipeBlock

Kind = Literal["models", "objectives", "tasks", "prompting"]


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """Names of all model families, objectives or kinds of task, sorted."""
    return tuple(sorted(p.parent.name for p in (Path(__file__).parent / kind).glob("*/config.py")))


def config(kind: Kind, name: str) -> type["RecipeBlock"]:
    """The recipe block of one entry. Raises ModuleNotFoundError for a name that `names` does not list."""
    block: type[RecipeBlock] = load(kind, name, "config").Config
    return block


def load(kind: Kind, name: str, module: str) -> ModuleType:
    """Import one module of an entry, e.g. `load("models", "bert", "net")`."""
    return import_module(f"nlptool.{kind}.{name}.{module}")
