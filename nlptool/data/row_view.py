"""Rows of a batch for display: what is predicted at each token, and what was changed.

An objective makes them from the tensors that the trainer gets (`Objective.row_views`); `nlptool inspect` shows them.
"""

from dataclasses import dataclass, field

from torch import Tensor

from nlptool.data.batches import Batch

IGNORED = -100

MASKED, REPLACED, KEPT = "masked", "replaced", "kept"
ANSWER, TAG, ENTITY, ONLY = "answer", "tag", "entity", "label"
UNKNOWN, CUT = "unknown", "cut"

MEANING = {
    MASKED: "masked → the token to predict",
    REPLACED: "replaced by another token → the token that was there, to predict",
    KEPT: "left as it is → the same token, to predict",
    ANSWER: "the answer, as it is labelled",
    TAG: "token → its tag",
    ENTITY: "linked token → its entity",
    ONLY: "predicted, not read",
    UNKNOWN: "text that the tokenizer cannot spell: lost",
    CUT: "text beyond the limit of length: cut off, not read",
}
"""Kinds of marks and their meanings."""


Fact = str | int | float


@dataclass(frozen=True)
class Mark:
    """A mark of a token."""

    kind: str
    """A key of MEANING."""
    label: int | str | None = None
    """Id of the token to predict, or name of the label; None: the kind says it all."""


@dataclass
class RowView:
    """A row of a batch, or one of its texts."""

    ids: list[int]
    """Tokens, special ones included, without padding."""
    types: list[int] | None = None
    """Segment of each token; None: one segment."""
    marks: dict[int, Mark] = field(default_factory=dict)
    """By position in `ids`."""
    facts: dict[str, Fact] = field(default_factory=dict)
    """Facts about the row, such as its label; a float is a share."""
    padding: int = 0
    row: int | None = None
    """Its number in the data, from 0, if it has one."""
    cut: list[list[int]] = field(default_factory=list)
    """Tokens truncated off each of its texts."""


def of_batch(batch: Batch) -> list[RowView]:
    """Tokens, segments and padding of each row: ids [B, T]; types [B, T] and lengths [B] if present."""
    ids_BT, rows = batch["ids"].tolist(), len(batch["ids"])
    lengths = batch["lengths"].tolist() if "lengths" in batch else [len(row) for row in ids_BT]
    types = batch["types"].tolist() if "types" in batch else [None] * rows
    return [
        RowView(ids[:n], kinds and kinds[:n], padding=len(ids) - n)
        for ids, kinds, n in zip(ids_BT, types, lengths, strict=True)
    ]


def mark_masked(views: list[RowView], at_BK: Tensor, labels_BK: Tensor, mask: int) -> None:
    """Mark the tokens that a masked language model predicts. at_BK: positions; labels_BK: IGNORED in unused slots."""
    for view, places, labels in zip(views, at_BK.tolist(), labels_BK.tolist(), strict=True):
        for place, label in zip(places, labels, strict=True):
            if label != IGNORED:
                shown = view.ids[place]
                kind = MASKED if shown == mask else KEPT if shown == label else REPLACED
                view.marks[place] = Mark(kind, label)
        view.facts["to_predict"] = len(view.marks)
        view.facts["share"] = len(view.marks) / len(view.ids)
