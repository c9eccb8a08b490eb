"""Rows for display: text with marks, from token ids or from prompts, for terminal, page and JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nlptool.data.row_view import CUT, ONLY, UNKNOWN, Fact, RowView
from nlptool.formatting import percent
from nlptool.text.token_texts import TokenTexts

SPECIAL, PLAIN = "special", ""
BREAKS = str.maketrans({"\n": "↵", "\r": "␍", "\t": "⇥"})


@dataclass(frozen=True)
class Piece:
    """A span of text of one kind."""

    text: str
    kind: str = PLAIN
    """A key of row_view.MEANING, SPECIAL or PLAIN."""
    label: str | None = None
    """The token to predict in its place, or the name of its label."""
    tokens: tuple[tuple[int, int], ...] = ()
    """Position and id of each of its tokens."""
    spaced: bool = False
    """For a mark: whether it, or the token to predict, has a leading space."""

    @property
    def marked(self) -> bool:
        """Whether it is more than plain text."""
        return self.kind not in (PLAIN, SPECIAL)


@dataclass
class Part:
    """A segment of a row, a sentence of a document, or an answer."""

    name: str
    pieces: list[Piece]


@dataclass
class ShownRow:
    """A row: facts and text."""

    title: str
    facts: dict[str, Fact]
    parts: list[Part] = field(default_factory=list)
    ids: list[int] | None = None
    types: list[int] | None = None

    @property
    def kinds(self) -> set[str]:
        """Kinds of marks in it."""
        return {piece.kind for part in self.parts for piece in part.pieces if piece.marked}

    def json(self) -> dict[str, Any]:
        """The row for programs."""
        found: dict[str, Any] = {"title": self.title, **self.facts}
        if self.ids is not None:
            found |= {"ids": self.ids, **({"segments": self.types} if self.types else {})}
        found["parts"] = [
            {
                **({"name": part.name} if part.name else {}),
                "text": "".join(piece.text for piece in part.pieces if piece.kind != CUT),
                "marks": [
                    {
                        "kind": piece.kind,
                        "text": piece.text,
                        **({"positions": [place for place, _ in piece.tokens]} if piece.tokens else {}),
                        **({} if piece.label is None else {"label": piece.label}),
                    }
                    for piece in part.pieces
                    if piece.marked
                ],
            }
            for part in self.parts
        ]
        return found


def of_view(view: RowView, title: str, texts: TokenTexts) -> ShownRow:
    """A row of token ids."""
    lost = sum(token == texts.unknown for token in view.ids)
    unread = sum(mark.kind == ONLY for mark in view.marks.values())
    facts: dict[str, Fact] = {"tokens": len(view.ids) - unread}
    cut = sum(map(len, view.cut))
    more = {"padding": view.padding, "unknown_tokens": lost, "tokens_cut_off": cut}
    facts |= {name: number for name, number in more.items() if number}
    shown = ShownRow(title, facts | view.facts, ids=view.ids, types=view.types)
    pieces = [_piece(view, span, texts) for span in texts.spans(view.ids, view.marks)]
    shown.parts = list(_parts(view, pieces))
    for number, ids in enumerate(view.cut):
        if ids:
            text = "".join(span.text for span in texts.spans(ids))
            shown.parts[min(number, len(shown.parts) - 1)].pieces.append(Piece(text, CUT))
    return shown


def _piece(view: RowView, span: Any, texts: TokenTexts) -> Piece:
    tokens = tuple((place, view.ids[place]) for place in range(span.start, span.stop))
    mark, token = view.marks.get(span.start), view.ids[span.start]
    if mark is None:
        kind = UNKNOWN if token == texts.unknown else SPECIAL if token in texts.special else PLAIN
        return Piece(span.text, kind, None, tokens)
    label = texts.name(mark.label) if isinstance(mark.label, int) else mark.label
    spaced = span.text[:1] == " " or (isinstance(mark.label, int) and texts.begins_with_space(mark.label))
    return Piece(span.text, mark.kind, label, tokens, spaced)


def _parts(view: RowView, pieces: Iterable[Piece]) -> Iterable[Part]:
    """Pieces by segment, if there are two."""
    if view.types is None or not any(view.types):
        yield Part("", list(pieces))
        return
    segments: dict[int, list[Piece]] = {}
    for piece in pieces:
        segments.setdefault(view.types[piece.tokens[0][0]], []).append(piece)
    for number, own in segments.items():
        yield Part("AB"[number] if number < len("AB") else str(number), own)


def flat(text: str) -> str:
    """Text on one line, with visible line ends and tabs."""
    return text.translate(BREAKS)


def spelled(piece: Piece) -> list[tuple[str, str]]:
    """Texts and their kinds, in the terminal's notation: ⟦shown→label⟧, with a word's leading space before it."""
    text = flat(piece.text)
    if not piece.marked:
        return [(text, piece.kind)]
    bare = text.lstrip(" ")
    if piece.kind == CUT:
        bare = f"cut: {bare}"
    label = "" if piece.label is None else f"→{flat(piece.label)}"
    return [(" " * piece.spaced, PLAIN), (f"⟦{bare}{label}⟧", piece.kind)]


def format_facts(facts: Mapping[str, Fact]) -> dict[str, str]:
    """Facts in readable form."""
    return {name.replace("_", " "): _format_fact(value) for name, value in facts.items()}


def _format_fact(value: Fact) -> str:
    if isinstance(value, float):
        return percent(value)
    return f"{value:,}" if isinstance(value, int) else value
