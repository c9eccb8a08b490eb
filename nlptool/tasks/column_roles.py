"""Infers which columns are the label and the texts, from their names and contents."""

from collections.abc import Mapping, Sequence
from typing import Any

from nlptool.errors import RecipeError
from nlptool.text.column_profile import Column, Table

LABELS = (
    *("label", "labels", "gold_label", "class", "category", "target", "sentiment", "polarity", "emotion"),
    *("intent", "topic", "stars", "rating", "score", "similarity", "quality", "is_duplicate", "y"),
    *("라벨", "레이블", "분류", "감정", "감성", "평점", "별점", "점수", "주제", "의도"),
)
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("premise", "hypo"),
    ("#1 string", "#2 string"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("query", "passage"),
    ("question", "passage"),
    ("문장1", "문장2"),
    ("전제", "가설"),
)
TEXTS = (
    *("text", "sentence", "document", "review", "review_text", "comment", "content", "body", "utterance"),
    *("tweet", "message", "description", "title", "headline", "question", "query"),
    *("문장", "본문", "리뷰", "내용", "텍스트", "댓글", "제목", "발화", "질문"),
)
NUMBERS = ("id", "idx", "index", "guid", "uid", "no", "번호")
"""Names of columns that number the rows."""
MOST_CLASSES = 200
"""Largest number of distinct values of a column that is taken for classes whatever its name."""


def label_column(table: Table, given: Mapping[str, Any]) -> Column | None:
    """The label column: the one given, else one with a usual name, else the only one with few distinct values, else
    the only one with lists of such values.
    """
    if "label" in given:
        return given_column(table, "label", given["label"])
    if (found := table.first(LABELS)) is not None:
        return found
    few = [column for column in table.columns.values() if may_be_classes(column, table.count)]
    lists = [column for column in table.columns.values() if column.lists and not column.many]
    candidates = few or lists
    return candidates[0] if len(candidates) == 1 else None


def given_column(table: Table, key: str, name: Any) -> Column:
    """The column that a key names. Raises RecipeError if it is missing."""
    if name not in table.columns:
        raise RecipeError(f"task.{key}: {table.name} has no column {name}; it has {table.listing}")
    return table.columns[name]


def text_columns(table: Table, given: Mapping[str, Any], others: Sequence[Column]) -> tuple[str, ...]:
    """The column of the text, or of both texts. others: columns with another role.

    Raises RecipeError where they cannot be inferred.
    """
    if "inputs" in given:
        names = given["inputs"] if isinstance(given["inputs"], tuple | list) else [given["inputs"]]
        return tuple(given_column(table, "inputs", name).name for name in names)
    taken = {column.name for column in others}
    for pair in PAIRS:
        found = [table.first((name,)) for name in pair]
        if all(column is not None and column.name not in taken for column in found):
            return tuple(column.name for column in found if column is not None)
    left = [c for c in table.columns.values() if c.name not in taken and _may_be_text(c, table.count)]
    named = [column for column in left if column.name.strip().lower() in TEXTS]
    if not named:  # beside a text, what has few values are classes
        left = [column for column in left if not may_be_classes(column, table.count)] or left
    if len(candidates := named or left) == 1:
        return (candidates[0].name,)
    inside = next((f", or [{one.name}.{one.keys[-1]}]" for one in table.columns.values() if one.keys), "")
    raise RecipeError(
        f"{table.name}: which columns are the text? It has {table.listing}",
        hint=f"name one, or the two of a pair: task.inputs=[COLUMN]{inside}",
    )


def may_be_classes(column: Column, rows: int) -> bool:
    """Whether a column has few enough different values for classes. rows: their number."""
    different = len(column.values)
    return (
        not column.many
        and not column.lists
        and column.name.strip().lower() not in NUMBERS
        and 2 <= different <= min(MOST_CLASSES, rows // 2)
    )


def _may_be_text(column: Column, rows: int) -> bool:
    numbered = column.name.strip().lower() in NUMBERS or column.numbers > rows / 2
    return column.texts + column.missing == rows and column.texts > 0 and not numbered
