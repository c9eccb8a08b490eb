"""ALBERT's batches on real text, counted against the formulas; all bounds are four standard deviations."""

import json
import lzma
import random
from collections.abc import Iterator
from itertools import islice
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import tiny

from nlptool.data import masking
from nlptool.data.pretraining_examples import PackedBatch, SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives import masked
from nlptool.objectives.sop.config import Config
from nlptool.text.config import Sentences
from nlptool.text.sentences import segmenter
from nlptool.text.store import DTYPES, Split, SplitWriter
from nlptool.text.tokenizer import Tokenizer

VOCAB = 3000


@pytest.fixture(scope="module")
def novels(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Vocabulary]:
    """12,000 paragraphs of novels, each a document: much of it is talk in paragraphs of one sentence."""
    sentences = segmenter(Sentences())
    texts = [sentences(f" {text}") for text in islice(paragraphs(shared_data), 12_000)]
    tokenizer = Tokenizer.train((sentence for text in texts[::5] for sentence in text), VOCAB)
    writer = SplitWriter(tmp_path_factory.mktemp("novels") / "train", DTYPES[8])
    for text in texts:
        ids = tokenizer.encode_batch(text)
        writer.add(np.concatenate(ids), np.array([len(i) for i in ids], np.int32))
    prefix = writer.prefix
    writer.close()
    return Split(prefix), Vocabulary.of(tokenizer)


def paragraphs(shared_data: Path) -> Iterator[str]:
    with lzma.open(shared_data / "pretrain_en" / "novels.jsonl.xz", "rt", encoding="utf8") as lines:
        for line in lines:
            texts = (" ".join(text.split()) for text in json.loads(line)["text"].split("\n\n"))
            yield from filter(None, texts)


def all_rows(
    novels: tuple[Split, Vocabulary], length: int, pairs: str, epochs: int = 3
) -> tuple[PackedBatch, RandomStreams]:
    split, vocabulary = novels
    special = {role: vocabulary.special[role] for role in ("cls", "sep", "pad")}
    examples = SegmentPairs(split, length, 0, pairs, **special)
    index = np.arange(len(examples) * epochs)
    draws = RandomStreams(0, 0)
    return examples.take(index % len(examples), index // len(examples), draws), draws


def close(observed: float, expected: float, number: int) -> bool:
    return abs(observed - expected) < 4 * sqrt(expected * (1 - expected) / number)


def test_half_of_the_pairs_are_swapped(novels):
    labels = all_rows(novels, 64, "order")[0].labels
    assert len(labels) > 20_000
    assert close(labels.mean(), 0.5, len(labels))
    assert not all_rows(novels, 64, "none")[0].labels.any()


def test_paragraphs_of_one_sentence_are_what_order_passes_over_and_next_calls_random(novels):
    split, vocabulary = novels
    sizes = [[len(sentence) for sentence in split.document(number)] for number in range(len(split))]
    single = [text[0] for text in sizes if len(text) == 1]
    special = {role: vocabulary.special[role] for role in ("cls", "sep", "pad")}
    assert SegmentPairs(split, 64, 0, "order", **special).documents_without_pair() == len(single)
    share = sum(single) / split.tokens  # of the anchors that fall into one
    assert 0.1 < share < 0.9
    labels = all_rows(novels, 64, "next")[0].labels
    assert close(labels.mean(), 0.5 + share / 2, len(labels))


def lengths_by_the_script(documents: list[list[int]], longest: int, pairs: str) -> np.ndarray:
    """Tokens of the rows that create_pretraining_data.py makes in a pass, BERT's (next) or ALBERT's (order)."""
    draw, rows = random.Random(0), []
    for sizes in documents:
        target = draw.randint(2, longest) if draw.random() < 0.1 else longest
        chunk: list[int] = []
        at = 0
        while at < len(sizes):
            chunk.append(sizes[at])
            if at == len(sizes) - 1 or sum(chunk) >= target:
                end = draw.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                total = sum(chunk)
                if len(chunk) == 1 or (pairs == "next" and draw.random() < 0.5):
                    other = draw.choice(documents)
                    total, room = sum(chunk[:end]), target - sum(chunk[:end])
                    for size in other[draw.randrange(len(other)) :]:
                        total, room = total + size, room - size
                        if room <= 0:
                            break
                    at -= len(chunk) - end
                rows.append(min(total, longest))
                chunk = []
            at += 1
    return np.array(rows)


@pytest.mark.parametrize("pairs", ["next", "order"])
def test_rows_are_short_as_often_as_those_of_the_scripts(novels, tmp_path: Path, pairs: str):
    split, _ = novels
    writer, chapters = SplitWriter(tmp_path / "chapters", DTYPES[8]), []
    for first in range(0, len(split), 40):
        text = [ids for n in range(first, min(first + 40, len(split))) for ids in split.document(n)]
        chapters.append([len(ids) for ids in text])
        writer.add(np.concatenate(text), np.array(chapters[-1], np.int32))
    writer.close()
    theirs = lengths_by_the_script(chapters * 4, 509, pairs)
    examples = SegmentPairs(Split(writer.prefix), 512, 0, pairs, cls=1, sep=2, pad=0)
    index = np.arange(4 * len(examples))
    rows = examples.take(index % len(examples), index // len(examples), RandomStreams(0, 0))
    assert rows.lengths is not None
    ours = rows.lengths - 3
    assert (ours < 256).mean() == pytest.approx((theirs < 256).mean(), abs=0.04)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.04)
    assert (ours < 256).mean() > 0.15


def test_the_first_span_of_a_row_has_n_words_with_chance_one_over_n(novels):
    _, vocabulary = novels
    rows, draws = all_rows(novels, 128, "order")
    candidates_BT = ~vocabulary.is_special[rows.ids]
    starts_BT = masking.word_starts(rows.ids, candidates_BT, vocabulary)
    order_BT, size_BT = (draws.uniform(stream, *rows.ids.shape) for stream in (masking.ORDER, masking.SIZE))
    units_B = starts_BT.sum(1)
    first_B = np.where(np.arange(128) < units_B[:, None], order_BT, 2).argmin(1)
    chosen = np.flatnonzero((units_B > 60) & (first_B < units_B - 3))
    begins = [np.append(np.flatnonzero(row), 0) for row in starts_BT]
    word_BT = np.where(candidates_BT, starts_BT.cumsum(1) - 1, -1)
    first_three_BT = (word_BT >= first_B[:, None]) & (word_BT < first_B[:, None] + 3)
    # Room for the first span whatever its length, and for little more, which could begin right behind it.
    budget_B = first_three_BT.sum(1)
    picked_BT = masking.pick_spans(starts_BT, candidates_BT, budget_B, order_BT, size_BT, 3)
    lengths = np.zeros(4, int)
    for row in chosen:
        taken = picked_BT[row, begins[row][first_B[row] : first_B[row] + 3]]
        lengths[int(taken.cumprod().sum())] += 1
    number = lengths.sum()
    assert lengths[0] == 0
    assert number > 5000
    assert close(lengths[1] / number, 6 / 11, number)
    assert close(lengths[2] / number, 3 / 11, number)
    assert close(lengths[3] / number, 2 / 11, number)


def test_the_budget_is_filled_and_shown_as_masks_random_tokens_and_itself(novels):
    _, vocabulary = novels
    block = tiny.facts("sop").MODEL | {"max_positions": 512}
    model = tiny.registry.config("models", "albert").model_validate(block)
    objective = masked.build(Config(), model, vocabulary, "order")
    rows, draws = all_rows(novels, 512, "order")
    batch = objective.collate(rows, draws)
    budget_B = masking.budget(rows.lengths, 0.15)
    labels_BK = batch["labels"].numpy()
    used_BK = labels_BK != IGNORED
    assert (used_BK.sum(1) <= budget_B).all()
    assert used_BK.sum() > 0.998 * budget_B.sum()
    assert batch.counts["mlm"] / rows.lengths.sum() == pytest.approx(0.15, abs=0.001)
    shown = np.take_along_axis(batch["ids"].numpy(), batch["at"].numpy()[:, 1:], axis=1)[used_BK]
    number, kept = used_BK.sum(), 0.1 + 0.1 / len(vocabulary.ordinary)
    assert close((shown == vocabulary.special["mask"]).mean(), 0.8, number)
    assert close((shown == labels_BK[used_BK]).mean(), kept, number)
