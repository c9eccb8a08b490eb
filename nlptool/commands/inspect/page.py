"""Rows as a self-contained HTML page, without scripts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nlptool.commands.inspect.rows import SPECIAL, Part, Piece, ShownRow, flat, format_facts
from nlptool.data.row_view import MEANING, Fact
from nlptool.report import html_page
from nlptool.report.html_page import html_text, prose

TEMPLATE = Path(__file__).with_name("page.html")


def page(title: str, facts: Mapping[str, Fact], rows: Sequence[ShownRow]) -> str:
    """The page, light or dark as the reader's system; the tooltip shows a token's id."""
    kinds = set().union(*(row.kinds for row in rows))
    legend = "".join(
        f'<li><mark class="{kind}">{kind}</mark> {html_text(meaning)}</li>'
        for kind, meaning in MEANING.items()
        if kind in kinds
    )
    parts = {
        "facts": _facts(facts),
        "legend": legend,
        "rows": "\n".join(map(_row, rows)),
    }
    return html_page.filled(TEMPLATE, title, parts, width=60)


def _row(row: ShownRow) -> str:
    parts = "".join(map(_part, row.parts))
    return f"<section><h2>{html_text(row.title)}</h2><dl>{_facts(row.facts)}</dl>{parts}</section>"


def _part(part: Part) -> str:
    name = f' data-part="{html_text(part.name)}"' if part.name else ""
    return f"<p{name}>{''.join(map(_piece, part.pieces))}</p>"


def _piece(piece: Piece) -> str:
    numbers = ", ".join(f"{place}: {token}" for place, token in piece.tokens)
    title = f' title="{numbers}"' if numbers else ""
    text = flat(piece.text)
    if not piece.marked:
        kind = f' class="{SPECIAL}"' if piece.kind == SPECIAL else ""
        return f"<span{kind}{title}>{html_text(text)}</span>" if kind or title else html_text(text)
    bare = text.lstrip(" ")
    label = "" if piece.label is None else f"<i>→</i><u>{html_text(flat(piece.label))}</u>"
    return f'{" " * piece.spaced}<mark class="{piece.kind}"{title}>{html_text(bare)}{label}</mark>'


def _facts(facts: Mapping[str, Fact]) -> str:
    return "".join(
        f"<div><dt>{html_text(name)}</dt><dd>{prose(value)}</dd></div>"
        for name, value in format_facts(facts).items()
    )
