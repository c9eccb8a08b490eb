"""MinHash: similarity of shingles, theoretical recall, and the choice of the kept document."""

import random
from pathlib import Path

import numpy as np
import pytest

from nlptool.corpus import duplicates, engine
from nlptool.corpus.config import Dedup, MinHash
from nlptool.corpus.document import Document
from nlptool.corpus.duplicates import Why
from nlptool.corpus.filter_config import Filters
from nlptool.corpus.minhash import Signatures, jaccard, shingles
from nlptool.corpus.pipeline import Blocks, Pipeline

ENGLISH = [f"word{number}" for number in range(3000)]
KOREAN = [f"{chr(0xAC00 + 7 * number)}{chr(0xAC00 + 11 * number % 11000)}는" for number in range(1500)]


def sets(one: str, other: str, ngram: int = 5) -> float:
    return jaccard(np.unique(shingles(one, ngram)), np.unique(shingles(other, ngram)))


def test_similarity_is_that_of_the_sets_of_shingles():
    assert sets("a b c d", "a b c e", ngram=2) == pytest.approx(2 / 4)
    assert sets("A, b! c", "a b c", ngram=2) == 1
    assert sets("a b", "c d", ngram=5) == 0
    assert sets("", "a", ngram=5) == 0


@pytest.mark.parametrize("words", [ENGLISH, KOREAN], ids=["English", "Korean"])
@pytest.mark.parametrize("changed", [0.01, 0.03, 0.06])
def test_a_pair_shares_a_band_as_often_as_the_theory_says(words: list[str], changed: float):
    chance, signatures = random.Random(f"{changed}"), Signatures(MinHash())
    trials, met, expected = 300, 0, []
    for _ in range(trials):
        one = [chance.choice(words) for _ in range(150)]
        other = [chance.choice(words) if chance.random() < changed else word for word in one]
        a, b = " ".join(one), " ".join(other)
        expected.append(1 - (1 - sets(a, b) ** 8) ** 14)
        left, right = signatures(a), signatures(b)
        assert left is not None
        assert right is not None
        met += bool((left == right).any())
    deviation = sum(p * (1 - p) for p in expected) ** 0.5
    assert abs(met - sum(expected)) <= 3 * deviation + 1


def test_signatures_are_the_same_on_every_machine():
    found = Signatures(MinHash(bands=2, rows=2))("the old river runs through the town")
    assert found is not None
    assert found.tolist() == SIGNATURE


SIGNATURE = [6538846427021091931, 6588249371002020564]


def find(tmp_path: Path, texts: list[str], config: Dedup, name: str = "part") -> dict[int, Why]:
    pipeline = Pipeline(Blocks(Filters(), config, 0, 0))
    half = len(texts) // 2
    folders = []
    for number, some in enumerate((texts[:half], texts[half:])):
        folders.append(tmp_path / f"{name}-{number}")
        engine.write_stretch(
            folders[-1], pipeline, [Document(f"f:{at}", "web", text, {}) for at, text in enumerate(some)]
        )
    aside = tmp_path / "aside"
    aside.mkdir(exist_ok=True)
    return duplicates.find(folders, config, aside, lambda done: None).dropped


def text(seed: int, words: int = 200) -> list[str]:
    chance = random.Random(seed)
    return [chance.choice(ENGLISH) for _ in range(words)]


def test_equal_words_are_one_document_whatever_the_white_space(tmp_path: Path):
    one = " ".join(text(1))
    found = find(tmp_path, [one, " ".join(text(2)), one.replace(" ", "\n")], Dedup())
    assert found == {2: Why(0, True, 1.0)}
    assert find(tmp_path, [one, one], Dedup(exact=False), "off") == {}


def test_the_longest_of_near_duplicates_is_kept_or_the_first(tmp_path: Path):
    body = text(1)
    texts = [" ".join(body), " ".join(text(2)), " ".join([*body, "and", "a", "little", "more"])]
    longest = find(tmp_path, texts, Dedup(minhash=MinHash()))
    assert [(number, why.of, why.exact) for number, why in longest.items()] == [(0, 2, False)]
    assert longest[0].similarity == pytest.approx(sets(texts[0], texts[2]))
    first = find(tmp_path, texts, Dedup(minhash=MinHash(), keep="first"), "first")
    assert {number: why.of for number, why in first.items()} == {2: 0}


def test_nothing_is_dropped_that_is_less_alike_than_verify(tmp_path: Path):
    chance = random.Random(3)
    texts = []
    for seed in range(60):
        body = text(seed)
        texts.append(" ".join(body))
        for share in (0.02, 0.05, 0.08):
            texts.append(
                " ".join(chance.choice(ENGLISH) if chance.random() < share else word for word in body)
            )
    loose = find(tmp_path, texts, Dedup(minhash=MinHash(verify=None)), "loose")
    strict = find(tmp_path, texts, Dedup(minhash=MinHash(verify=0.7)), "strict")
    alike = {number: sets(texts[number], texts[why.of]) for number, why in loose.items()}
    assert any(similarity < 0.7 for similarity in alike.values())
    assert strict
    for number, why in strict.items():
        assert sets(texts[number], texts[why.of]) == pytest.approx(why.similarity)
        assert (why.similarity or 0) >= 0.7
        assert why.of not in strict  # what it resembles is kept


def test_the_order_of_documents_decides_nothing(tmp_path: Path):
    body = text(1)
    near = [" ".join([*body[:-1], f"end{number}"]) for number in range(4)]
    texts = [*near, *(" ".join(text(seed)) for seed in range(2, 6))]
    config = Dedup(minhash=MinHash())
    dropped = {texts[number] for number in find(tmp_path, texts, config)}
    turned = texts[::-1]
    assert {turned[number] for number in find(tmp_path, turned, config, "turned")} == dropped
    assert len(dropped) == 3


def test_documents_without_words_are_equal_only_when_they_are(tmp_path: Path):
    assert find(tmp_path, ["!!!", "???", "...", "!!!"], Dedup(minhash=MinHash())) == {3: Why(0, True, 1.0)}
