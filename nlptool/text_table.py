"""Tables that fit a terminal: text wraps between words, and numbers are never broken.

If the columns do not fit side by side, the table is transposed, one column a row; if that does not fit either, there
is one line a cell.
"""

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table

from nlptool.terminal import shown

GAP = 2  # columns of the screen between two table columns
WORDS = (
    24,
    12,
)  # wider words, such as paths, may be broken; the second limit applies if the first does not suffice
WHOLE = 24  # wider cells that begin with a number are text
NUMBER = re.compile(
    r"[-+±<>~]?\d"
)  # beginning of a cell that is kept whole: `61.3 % ± 1.2`, `2m31s`, `1.2 GB`
REMARK = re.compile(r" (?=\([^\W\d])")  # a remark on a cell's number: `66.2 (majority)`

Cells = Sequence[Sequence[str]]


def fitted(columns: Sequence[str], rows: Cells, numeric: Sequence[bool], width: int) -> RenderableType:
    """The table in this width. numeric: which columns are right-aligned."""
    turned = [list(line) for line in zip(columns[1:], *(row[1:] for row in rows), strict=True)]
    names = [columns[0], *(row[0] for row in rows)]
    for word in WORDS:
        if found := widths(columns, rows, width, word):
            return _table(columns, rows, numeric, found)
        if found := widths(names, turned, width, word):
            return _table(names, turned, [False] * len(names), found)
    return Group(*(pairs([*zip(columns, row, strict=True), ("", "")], width) for row in rows))


def pairs(facts: Sequence[tuple[str, str]], width: int) -> Table:
    """Names and values, one pair a line; if the width is short, names give way before numbers."""
    names, values = next(filter(None, (widths(("", ""), facts, width, word) for word in WORDS)), (None, None))
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
    grid.add_column(style="dim", overflow="fold", width=names)
    grid.add_column(overflow="fold", width=values)
    for fact in facts:
        grid.add_row(*map(shown, fact))
    return grid


def widths(columns: Sequence[str], rows: Cells, width: int, word: int) -> list[int] | None:
    """The width of each column; None if numbers, or words up to `word`, would have to be broken."""
    lines = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    table = list(zip(columns, lines, strict=True))
    least = [
        max([_longest_word(name, word), *(_unbroken(cell, word) for cell in cells)]) for name, cells in table
    ]
    most = [max([cell_len(name), *map(_widest, cells)]) for name, cells in table]
    room = width - GAP * (len(columns) - 1) - sum(least)
    if room < 0:
        return None
    found = list(least)
    order = sorted(range(len(columns)), key=lambda column: most[column] - least[column])
    for place, column in enumerate(order):  # narrow columns first, the others share the rest
        more = min(most[column] - least[column], room // (len(order) - place))
        found[column] += more
        room -= more
    return found


def _table(columns: Sequence[str], rows: Cells, numeric: Sequence[bool], found: Sequence[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for name, right, width in zip(columns, numeric, found, strict=True):
        table.add_column(
            shown(name), justify="right" if right else "left", overflow="fold", width=width, vertical="top"
        )
    for row in rows:
        table.add_row(*map(shown, row))
    return table


def _unbroken(cell: str, word: int) -> int:
    """The smallest width that breaks no number or word of a cell."""
    number, remark = REMARK.split(cell, maxsplit=1) if REMARK.search(cell) else (cell, "")
    if not NUMBER.match(cell) or len(number) > WHOLE:
        return _longest_word(cell, word)
    return max(_widest(number), _longest_word(remark, word))


def _longest_word(text: str, most: int) -> int:
    """The width of the longest word; other words than numbers may be broken from `most` on."""
    found = ((cell_len(word), NUMBER.match(word)) for word in text.split())
    return max(
        (width if number and width <= WHOLE else min(width, most) for width, number in found), default=0
    )


def _widest(cell: str) -> int:
    return max(map(cell_len, cell.splitlines()), default=0)
