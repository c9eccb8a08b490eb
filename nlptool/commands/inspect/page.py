"""Rows as one HTML page that needs nothing else: no network, no other file, no script."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from nlptool.commands.inspect.rows import SPECIAL, Part, Piece, ShownRow, flat, format_facts
from nlptool.data.row_view import MEANING, Fact
from nlptool.terminal import clean


def page(title: str, facts: Mapping[str, Fact], rows: Sequence[ShownRow]) -> str:
    """The page; it is light or dark as the reader's screen, and a token's number is shown in its tooltip."""
    template = Template((Path(__file__).parent / "page.html").read_text("utf8"))
    kinds = set().union(*(row.kinds for row in rows))
    legend = "".join(
        f'<li><mark class="{kind}">{kind}</mark> {_text(meaning)}</li>'
        for kind, meaning in MEANING.items()
        if kind in kinds
    )
    return template.substitute(
        title=_text(title), facts=_facts(facts), legend=legend, rows="\n".join(map(_row, rows))
    )


def _row(row: ShownRow) -> str:
    parts = "".join(map(_part, row.parts))
    return f"<section><h2>{_text(row.title)}</h2><dl>{_facts(row.facts)}</dl>{parts}</section>"


def _part(part: Part) -> str:
    name = f' data-part="{_text(part.name)}"' if part.name else ""
    return f"<p{name}>{''.join(map(_piece, part.pieces))}</p>"


def _piece(piece: Piece) -> str:
    numbers = ", ".join(f"{place}: {token}" for place, token in piece.tokens)
    title = f' title="{numbers}"' if numbers else ""
    text = flat(piece.text)
    if not piece.marked:
        kind = f' class="{SPECIAL}"' if piece.kind == SPECIAL else ""
        return f"<span{kind}{title}>{_text(text)}</span>" if kind or title else _text(text)
    bare = text.lstrip(" ")
    label = "" if piece.label is None else f"<i>→</i><u>{_text(flat(piece.label))}</u>"
    return f'{" " * piece.spaced}<mark class="{piece.kind}"{title}>{_text(bare)}{label}</mark>'


def _facts(facts: Mapping[str, Fact]) -> str:
    return "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in format_facts(facts).items()
    )


def _text(text: str) -> str:
    """Text from outside as HTML."""
    return escape(clean(text))
