"""Registry by folders: objective "mlm" is the package nlptool/objectives/mlm.

Each entry is a folder with a `config.py`: its recipe block, importable without torch, which builds the entry. A new
folder is a new entry, without any list.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import core_schema

    from nlptool.models.config import ModelConfig
    from nlptool.objectives.config import ObjectiveConfig
    from nlptool.recipe import RecipeBlock
    from nlptool.tasks.config import TaskConfig

Kind = Literal["models", "objectives", "tasks", "prompting"]


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """Names of all model families, objectives or kinds of task, sorted."""
    return tuple(sorted(p.parent.name for p in (Path(__file__).parent / kind).glob("*/config.py")))


@overload
def config(kind: Literal["models"], name: str) -> type["ModelConfig"]: ...
@overload
def config(kind: Literal["objectives"], name: str) -> type["ObjectiveConfig"]: ...
@overload
def config(kind: Literal["tasks"], name: str) -> type["TaskConfig"]: ...
@overload
def config(kind: Kind, name: str) -> type["RecipeBlock"]: ...
def config(kind: Kind, name: str) -> type["RecipeBlock"]:
    """The recipe block of one entry. Raises ModuleNotFoundError for a name that `names` does not list."""
    block: type[RecipeBlock] = import_module(f"nlptool.{kind}.{name}.config").Config
    return block


@cache
def objectives(reads: Literal["tokens", "graph"]) -> tuple[str, ...]:
    """Names of the objectives that learn from a token store, or from a knowledge graph."""
    return tuple(name for name in names("objectives") if config("objectives", name).reads == reads)


class DiscriminatedBy:
    """A block whose type is chosen by its key `name`, a folder of the registry.

    `model: Annotated[Block, DiscriminatedBy("models")]` uses the `Config` of nlptool/models/NAME/config.py; names
    after the kind restrict the choice. A Config declares itself with `name: Literal["bert"] = "bert"`.
    """

    def __init__(self, kind: Kind, *only: str) -> None:
        self.kind: Kind = kind
        self.names = only or names(kind)

    def block(self, name: str) -> type["RecipeBlock"]:
        """The recipe block of one of the names."""
        return config(self.kind, name)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "core_schema.CoreSchema":
        from pydantic_core import core_schema  # imported late: `nlptool --help` only reads names

        choices = {name: handler.generate_schema(self.block(name)) for name in self.names}
        return core_schema.tagged_union_schema(choices, discriminator="name")
