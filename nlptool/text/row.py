"""A row of a labelled task: named values, and its place in the input."""

from typing import Any, NamedTuple

from nlptool.errors import DataError
from nlptool.formatting import json_value

SHOWN = 8  # names in a message


class Row(NamedTuple):
    """One row: its place in the input, and its values by column."""

    place: str
    values: dict[str, Any]

    def get(self, column: str) -> Any:
        """The value of a column; dots lead into an object: `labels.label`; into a list by index: `options.0`, or by
        name into each of its objects.

        Raises DataError if it is missing.
        """
        value: Any = self.values
        for name in column.split("."):
            if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
                continue
            each = value if isinstance(value, list) else [value]
            if not all(isinstance(one, dict) and name in one for one in each):
                raise DataError(
                    f"{self.place}: no column '{column}'; {_has(self.values)}",
                    hint=f"where it has another name: {{NAME: {column}}} under rename_columns in a labelled task, or "
                    f"predict ... --map {column}=NAME",
                )
            value = [one[name] for one in each] if isinstance(value, list) else value[name]
        return value

    def text(self, column: str) -> str:
        """A text. Raises DataError for another type."""
        value = self.get(column)
        if not isinstance(value, str):
            raise DataError(f"{self.place}: column '{column}' holds {json_value(value)}; a text is expected")
        return value


def whole(value: Any) -> int | None:
    """A value as a whole number: 1, 1.0, "1" and "1.0", as pandas writes a column with gaps; None for others."""
    if isinstance(value, str):
        digits, _, rest = value.strip().partition(".")
        return int(digits) if digits.removeprefix("-").isdecimal() and not rest.strip("0") else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def is_hidden(label: Any) -> bool:
    """Whether a label is hidden: -1 in GLUE, empty elsewhere, nan in pandas."""
    return whole(label) == -1 or str(label).strip() in ("None", "nan", "")


def _has(values: dict[str, Any]) -> str:
    names = [str(name) if str(name) == str(name).strip() else json_value(name) for name in values]
    held = f"it has {', '.join(names[:SHOWN]) or 'none'}{', ...' if names[SHOWN:] else ''}"
    if len(names) == 1:
        for separator, suffix in ((",", ".csv"), (";", ".csv"), ("\t", ".tsv")):
            if separator in str(next(iter(values))):
                return f"{held}; if {json_value(separator)} is the separator, name the file {suffix}"
    return held
