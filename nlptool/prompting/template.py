"""Templates: text with {columns} in braces.

`Question: {goal}\\nAnswer:` takes column `goal`; dots lead into objects, `{choices.text}`; {{ and }} are braces.
What a data set needs beyond that is done to its rows beforehand, see `preprocess`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.text.tabular import Row

PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|.", re.DOTALL)


def _checked(template: str) -> str:
    for part in PART.finditer(template):
        if part[0] in ("{", "}"):
            raise ValueError(
                f"a brace by itself in {json_value(template)}; write {{column}}, or {part[0] * 2} for a brace"
            )
        if part[1] is not None and not re.fullmatch(r"[^\s.][^.]*(\.[^.]+)*", part[1]):
            raise ValueError(
                f"{part[0]} in {json_value(template)} names no column; write {{column}} or {{column.part}}"
            )
    return template


Template = Annotated[str, AfterValidator(_checked)]


def columns(template: str) -> Iterator[str]:
    """The columns of a template."""
    yield from (part[1] for part in PART.finditer(template) if part[1] is not None)


def around(template: str, column: str) -> tuple[str, str]:
    """The templates before and after the only use of a column. Raises ValueError if it is not used exactly once."""
    before, *behind = template.split(f"{{{column}}}")
    if len(behind) != 1:
        raise ValueError(f"{{{column}}} stands {len(behind)} times in {json_value(template)}, not once")
    return before, behind[0]


def fill(template: str, row: Row, also: Mapping[str, str] | None = None) -> str:
    """The text for one row. also: further values by name.

    Raises DataError, with the row's place, for a missing column, or one with something other than a text or number.
    """
    return _filled(template, {name: _text(row, name, _value(row, name, also)) for name in columns(template)})


def fill_prompt(template: str, row: Row, also: Mapping[str, str] | None = None) -> str:
    """As `fill`. Also raises DataError if all columns of the template are blank, so that the prompt is empty."""
    texts = {name: _text(row, name, _value(row, name, also)) for name in columns(template)}
    if texts and not any(text.strip() for text in texts.values()):
        names = ", ".join(f"'{name}'" for name in texts)
        what = f"columns {names} are" if len(texts) > 1 else f"column {names} is"
        raise DataError(
            f"{row.place}: {what} empty, so the prompt asks nothing", hint="fix or remove the row"
        )
    return _filled(template, texts)


def fill_each(template: str, row: Row) -> list[str]:
    """A text for each entry of the list in the template's column; one text without a list.

    Raises DataError as `fill`.
    """
    values = {name: _value(row, name, None) for name in columns(template)}
    listed = {name: value for name, value in values.items() if isinstance(value, list)}
    texts = {name: _text(row, name, value) for name, value in values.items() if name not in listed}
    if not listed:
        return [_filled(template, texts)]
    lengths = {len(value) for value in listed.values()}
    if len(lengths) > 1:
        raise DataError(f"{row.place}: the lists in {', '.join(listed)} differ in length")
    return [
        _filled(template, texts | {name: _text(row, name, value[at]) for name, value in listed.items()})
        for at in range(lengths.pop())
    ]


def _value(row: Row, name: str, also: Mapping[str, str] | None) -> Any:
    return also[name] if also and name in also else row.get(name)


def _text(row: Row, name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise DataError(f"{row.place}: column '{name}' holds {json_value(value)}; a text or a number is expected")


def _filled(template: str, texts: Mapping[str, str]) -> str:
    doubled = {"{{": "{", "}}": "}"}
    return "".join(
        texts[part[1]] if part[1] is not None else doubled.get(part[0], part[0])
        for part in PART.finditer(template)
    )
