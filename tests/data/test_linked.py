"""Links of rows: their positions, and the candidates shared by all micro-batches of a step."""

import numpy as np
import pytest

from nlptool.data.pretraining_examples import LinkedRows, PackedRows, SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.text.links import LinkFile, Links, LinkWriter
from nlptool.text.store import DTYPES, Split, SplitWriter

CLS, SEP, PAD = 1, 2, 0


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """30 documents whose token ids are their positions; each tenth one begins a mention of three, entity 1000 + p."""
    prefix = tmp_path_factory.mktemp("split") / "train"
    rng, writer, at = np.random.default_rng(0), SplitWriter(prefix, DTYPES[8]), 10
    for _ in range(30):
        lengths = rng.integers(3, 9, 4).astype(np.int32)
        writer.add(np.arange(at, at + lengths.sum()), lengths)
        at += int(lengths.sum())
    writer.close()
    links = LinkWriter(prefix, "a" * 64, "b" * 64)
    positions = np.arange(0, at - 10, 10)
    links.add(Links(positions, np.full(len(positions), 3, np.uint16), (1000 + positions).astype(np.int32)))
    links.close()
    return Split(prefix)


def cuts(split: Split) -> list[PackedRows | SegmentPairs]:
    packed = PackedRows(split, 24, 0, between=SEP, first=CLS, last=SEP)
    return [packed, SegmentPairs(split, 24, 0, "next", cls=CLS, sep=SEP, pad=PAD)]


@pytest.mark.parametrize("kind", [0, 1])
def test_every_token_that_begins_a_mention_is_linked_and_no_other(split: Split, kind: int) -> None:
    rows = LinkedRows(cuts(split)[kind], LinkFile(split.prefix))
    taken = rows.take(np.arange(len(rows)), np.arange(len(rows)) % 3, RandomStreams(0, 0))
    assert taken.links is not None
    found = {(r, t, e) for r, t, e in zip(taken.links.row, taken.links.at, taken.links.entity, strict=True)}
    expected = {
        (r, t, 1000 + token - 10)
        for r, ids in enumerate(taken.ids.tolist())
        for t, token in enumerate(ids)
        if token >= 10 and (token - 10) % 10 == 0
    }
    assert found == expected
    assert len(found) > 50
    assert taken.links.most == max(np.bincount(taken.links.row))
    order = list(zip(taken.links.row.tolist(), taken.links.at.tolist(), strict=True))
    assert order == sorted(order)


def test_alternate_links_the_first_and_the_third_token(split: Split) -> None:
    (packed, _) = cuts(split)
    rows = LinkedRows(packed, LinkFile(split.prefix), "alternate")
    taken = rows.take(np.arange(len(rows)), np.zeros(len(rows), np.int64), RandomStreams(0, 0))
    assert taken.links is not None
    tokens = taken.ids[taken.links.row, taken.links.at] - 10
    begins = taken.links.entity - 1000
    assert set((tokens - begins).tolist()) == {0, 2}


@pytest.mark.parametrize("kind", [0, 1])
def test_parts_of_a_step_have_their_own_links_and_the_candidates_of_all(split: Split, kind: int) -> None:
    rows, step = LinkedRows(cuts(split)[kind], LinkFile(split.prefix)), RandomStreams(3, 5)
    indices, epochs = np.arange(8), np.zeros(8, np.int64)
    whole = rows.take(indices, epochs, step).links
    parts = [rows.take_of_step(indices, epochs, step, slice(a, a + 2)) for a in range(0, 8, 2)]
    assert whole is not None
    assert (np.concatenate([part.ids for part in parts]) == rows.take(indices, epochs, step).ids).all()
    for part, first in zip(parts, range(0, 8, 2), strict=True):
        assert part.links is not None
        own = (whole.row >= first) & (whole.row < first + 2)
        assert (part.links.row + first).tolist() == whole.row[own].tolist()
        assert part.links.entity.tolist() == whole.entity[own].tolist()
        assert part.links.candidates.tolist() == sorted(set(whole.entity.tolist()))
        assert (part.links.most, part.links.commonest) == (whole.most, whole.commonest)
