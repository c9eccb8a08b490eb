"""The folder is the registry: objective "mlm" is the package nlptool/objectives/mlm.

Each entry is a folder with a `config.py` (its recipe block, importable without torch) and the module that does the
work (`net.py` for a model family, `objective.py` for an objective or a kind of task). A new entry is a new
folder; no list is kept.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

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


class DiscriminatedBy:
    """A block whose type is discriminated by its key `name`, one of the folders of a room.

    `model: Annotated[Block, DiscriminatedBy("models")]` takes the `Config` of nlptool/models/NAME/config.py; names
    after the kind leave only those. A Config declares itself with `name: Literal["bert"] = "bert"`.
    """

    def __init__(self, kind: Kind, *only: str) -> None:
        self.kind: Kind = kind
        self.names = only or names(kind)

    def block(self, name: str) -> type["RecipeBlock"]:
        """The recipe block of one of the names."""
        return config(self.kind, name)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> core_schema.CoreSchema:
        choices = {name: handler.generate_schema(self.block(name)) for name in self.names}
        return core_schema.tagged_union_schema(choices, discriminator="name")
