"""Statistics of the columns of rows, from which a task is inferred."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from nlptool.errors import DataError
from nlptool.text.row import Row, is_hidden, whole

MOST = 1000  # distinct values counted for a column; with more, it holds no classes
LONGEST = 100  # characters of such a value


@dataclass
class Column:
    """The values of one column."""

    name: str
    values: Counter[str] = field(default_factory=Counter)
    """Counts of its values, as spelled by `label_name`, without hidden ones."""
    many: bool = False
    """Whether it has more distinct values than are counted, or longer ones."""
    texts: int = 0
    """Rows in which it is a text."""
    lists: int = 0
    """Rows in which it is a list, whose entries are then counted in `values`."""
    keys: tuple[str, ...] = ()
    """The keys of its first object."""
    blank: int = 0
    """Rows in which it is empty."""
    missing: int = 0
    """Rows in which it is null."""
    spaced: int = 0
    """Rows in which it contains white space."""
    numbers: int = 0
    """Rows in which it is a number, or a text of one."""
    fractions: int = 0
    """Rows in which this number is not whole."""
    classes: tuple[str, ...] = ()
    """Names of its classes by number, if the file has them."""

    def add(self, value: Any) -> None:
        """Count the value of one row."""
        if value is None or (isinstance(value, str) and not value.strip()):
            self.blank += 1
        self.missing += value is None
        if isinstance(value, str):
            self.texts += 1
            self.spaced += any(sign.isspace() for sign in value.strip())
        if (number := _number(value)) is not None:
            self.numbers += 1
            self.fractions += not number.is_integer()
        self.lists += isinstance(value, list)
        if isinstance(value, dict) and not self.keys:
            self.keys = tuple(map(str, value))
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
    """The name of a class: 1, 1.0 and "1.0" are 1, true is true."""
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
    """The columns of a file's rows, and a way to read the rows again."""

    name: str
    """The file's name in messages."""
    count: int
    columns: dict[str, Column]
    rows: Callable[[], Iterator[Row]]

    def first(self, names: Sequence[str]) -> Column | None:
        """The first column with one of these names, ignoring case."""
        by_name = {name.strip().lower(): column for name, column in self.columns.items()}
        return next((by_name[name] for name in names if name in by_name), None)

    def all(self, names: Sequence[str]) -> list[Column]:
        """The columns that have these names, where all are there; case does not matter."""
        found = [self.first((name,)) for name in names]
        there = [column for column in found if column is not None]
        return there if len(there) == len(found) else []

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
    """Read all rows once. Raises DataError for an unreadable row.

    nested: also columns by a path with dots. classes: class names by column, for rows with numbers.
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
