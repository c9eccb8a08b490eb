"""Base types of recipes: RecipeBlock, marks on keys, and values that need more than a Python type."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.config import JsonDict
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RESUMABLE: JsonDict = {"resumable": True}
"""`Field(..., json_schema_extra=RESUMABLE)`: a run may be resumed with another value of this key.

Unmarked keys are fixed, since they change the batches, the model or the rows of the run. The mark of a block applies
to all keys in it.
"""


def only(command: str) -> JsonDict:
    """`Field(None, ..., json_schema_extra=only("distill"))`: a key of a shared block for one command only.

    While it is not set, a written recipe leaves it out; the schemas of other commands lack it.
    """
    return {"only": command}


class RecipeBlock(BaseModel):
    """A block of a recipe: a frozen value whose fields are its keys.

    Types are strict: "32" is not a whole number, true is not 1; a whole number is a number. Unknown keys are errors.
    Lists become tuples. Every field has a description, for editors and resolved recipes.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=False,
        protected_namespaces=(),
    )

    replaces: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """Keys of this block that exclude others: given on the command line, they replace the file's."""

    only_command: ClassVar[str | None] = None
    """The only command with this block, among those that share a recipe; the schemas of others lack it."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler(schema)
        if cls.only_command is not None:
            handler.resolve_ref_schema(found)["only"] = cls.only_command
        return found

    def idle(self) -> dict[str, str]:
        """Keys of this block without effect, given the values of others, and why."""
        return {}


Measure = Literal["tokens", "epochs", "seconds", "flops"]

UNITS: dict[str, tuple[Measure, float]] = {
    "tokens": ("tokens", 1),
    "token": ("tokens", 1),
    "epochs": ("epochs", 1),
    "epoch": ("epochs", 1),
    "s": ("seconds", 1),
    "seconds": ("seconds", 1),
    "min": ("seconds", 60),
    "minutes": ("seconds", 60),
    "h": ("seconds", 3600),
    "hours": ("seconds", 3600),
    "days": ("seconds", 86400),
    "flops": ("flops", 1),
}
SCALES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
PATTERN = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([kKMBT]?) *([a-z]+)"


@dataclass(frozen=True)
class Budget:
    """The length of a run: tokens, epochs, seconds or floating-point operations, read from `2B tokens`.

    Tokens are positions: padding counts, since it is computed.
    """

    amount: float
    measure: Measure

    EXPECTED = "an amount with its unit, such as 2B tokens, 1.5 epochs, 30 min or 1e17 flops"

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `2B tokens`, `1.5 epochs`, `30 min`, `1e17 flops`. The message of ValueError says what was expected."""
        match = re.fullmatch(PATTERN, text.strip())
        if match is None or match[3] not in UNITS:
            raise ValueError(cls.EXPECTED)
        measure, unit = UNITS[match[3]]
        amount = float(match[1]) * SCALES[match[2]] * unit
        if amount <= 0:
            raise ValueError("more than nothing")
        return cls(amount, measure)

    def __str__(self) -> str:
        """The amount in a suitable unit; `parse` reads it back to the same value."""
        units = {
            "tokens": [("B tokens", 10**9), ("M tokens", 10**6), (" tokens", 1)],
            "seconds": [(" h", 3600), (" min", 60), (" s", 1)],
            "epochs": [(" epochs", 1)],
            "flops": [(" flops", 1)],
        }[self.measure]
        texts = [f"{self.amount / unit!r}".removesuffix(".0") + suffix for suffix, unit in units]
        readable = (
            t for t, u in zip(texts, units, strict=True) if self.amount >= u[1] and self.parse(t) == self
        )
        return next(readable, texts[-1])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> "Budget":
            if isinstance(value, Budget):
                return value
            try:
                return cls.parse(value if isinstance(value, str) else "")
            except ValueError as error:
                raise PydanticCustomError("expected", "{expected}", {"expected": str(error)}) from None

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        number = PATTERN.rpartition("(")[0]
        examples = ["2B tokens", "1.5 epochs", "30 min"]
        return {"type": "string", "pattern": f"^{number}({'|'.join(UNITS)})$", "examples": examples}


class OneOf:
    """Restricts a text to these names, like a Literal: `Annotated[str, OneOf(METRICS)]`.

    So a table by name need not repeat its names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.names))


@runtime_checkable
class BlockChoice(Protocol):
    """How a block is chosen by its key `name`, as among the folders of the registry."""

    names: tuple[str, ...]
    """The values of `name`."""

    def block(self, name: str) -> type[RecipeBlock]:
        """The type of the block with this name, one of `names`."""
        ...
