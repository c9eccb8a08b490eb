"""What the columns of rows hold: by this a task is told from its files, which no one has described."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from nlptool.errors import DataError
from nlptool.text.row import Row, is_hidden, whole

MOST = 1000  # different values of a column that are counted; beyond, it is no column of classes
LONGEST = 100  # characters of such a value


@dataclass
class Column:
    """The values of one column."""

    name: str
    values: Counter[str] = field(default_factory=Counter)
    """How often each occurs, as `label_name` spells it; hidden ones are left out."""
    many: bool = False
    """Whether there are more different values than are counted, or longer ones."""
    texts: int = 0
    """Rows in which it is a text."""
    lists: int = 0
    """Rows in which it is a list; `values` are then those of its entries."""
    blank: int = 0
    """Rows in which it is a text without a character, or nothing."""
    spaced: int = 0
    """Rows in which white space stands within the text."""
    numbers: int = 0
    """Rows in which it is a number, or a text that is one."""
    fractions: int = 0
    """Rows in which this number is not whole."""
    classes: tuple[str, ...] = ()
    """The names of its classes, in the order of their numbers, where the file notes them."""

    def add(self, value: Any) -> None:
        """Count the value of one row."""
        if value is None or (isinstance(value, str) and not value.strip()):
            self.blank += 1
        if isinstance(value, str):
            self.texts += 1
            self.spaced += any(sign.isspace() for sign in value.strip())
        if (number := _number(value)) is not None:
            self.numbers += 1
            self.fractions += not number.is_integer()
        self.lists += isinstance(value, list)
        if not self.many:
            for one in value if isinstance(value, list) else [value]:
                self._count(one)

    def _count(self, value: Any) -> None:
        if is_hidden(value) and whole(value) is None:
            return
        name = label_name(value)
        if isinstance(value, dict | list) or len(name) > LONGEST or len(self.values) > MOST:
            self.many = True
            self.values.clear()
        else:
            self.values[name] += 1


def label_name(value: Any) -> str:
    """How a class is called: 1, 1.0 and "1.0" are 1, true is true."""
    if isinstance(value, bool):
        return str(value).lower()
    number = whole(value)
    return str(value) if number is None else str(number)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool | list | dict) or value is None else float(value)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Table:
    """The columns of a file's rows, and how to read these once more."""

    name: str
    """The file, as messages call it."""
    count: int
    columns: dict[str, Column]
    rows: Callable[[], Iterator[Row]]

    def first(self, names: Sequence[str]) -> Column | None:
        """The column that has the first of these names that one has; case does not matter."""
        by_name = {name.strip().lower(): column for name, column in self.columns.items()}
        return next((by_name[name] for name in names if name in by_name), None)

    @property
    def listing(self) -> str:
        """The names, for a message."""
        return ", ".join(self.columns)


def profile(
    name: str,
    rows: Callable[[], Iterator[Row]],
    nested: Iterable[str] = (),
    classes: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Table:
    """Read all rows once. Raises DataError for what cannot be read.

    nested: also columns by a path with dots. classes: the names of a column's classes, which rows may have by number.
    """
    columns: dict[str, Column] = {}
    paths = [path for path in nested if "." in path]
    count = 0
    for row in rows():
        count += 1
        for key, value in [*row.values.items(), *((path, row.get(path)) for path in paths)]:
            if (column := columns.get(key)) is None:
                column = columns[key] = Column(key, classes=classes.get(key, ()))
            column.add(value)
    if not count:
        raise DataError(f"{name}: no row")
    return Table(name, count, columns, rows)
