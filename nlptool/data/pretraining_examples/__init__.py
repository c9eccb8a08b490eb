"""Cuts a split of a token store into rows for pretraining, by random access.

Nothing is listed or indexed: the place of row i of an epoch is computed, and found in the split by bisection. So the
first batch costs the same at any store size, and so does resuming.
"""

from nlptool.data.pretraining_examples.linked import LinkedRows, LinkedTokens, RowLinks
from nlptool.data.pretraining_examples.packed import PackedRows
from nlptool.data.pretraining_examples.pairs import Pairs, SegmentPairs, fit
from nlptool.data.pretraining_examples.rows import PackedBatch
from nlptool.data.pretraining_examples.segments import Segments

__all__ = [
    "LinkedRows",
    "LinkedTokens",
    "PackedBatch",
    "PackedRows",
    "Pairs",
    "RowLinks",
    "SegmentPairs",
    "Segments",
    "fit",
]
