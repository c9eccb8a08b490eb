"""Detection of evaluation examples in the training text."""

import random

import pytest

from nlptool.prompting.config import Instance
from nlptool.prompting.contamination import Search, search_tasks
from nlptool.prompting.loglikelihood.config import Config
from nlptool.prompting.requests import TaskRun
from nlptool.text.ngram_overlap import ngram_size, words

EIGHT = "one two three four five six seven eight"


def test_words_have_neither_case_nor_signs():
    assert words("The old-fashioned “Bell”, isn't_it?  1,000") == [
        "the",
        "oldfashioned",
        "bell",
        "isntit",
        "1000",
    ]
    assert words("종이 '울렸다'.") == ["종이", "울렸다"]


@pytest.mark.parametrize(("length", "n"), [(3, 8), (8, 8), (10, 10), (40, 13)])
def test_n_follows_the_length_of_questions_within_bounds(length: int, n: int):
    assert ngram_size(["w " * length] * 30, synthetic=False) == n


def test_n_is_the_fifth_percentile():
    texts = ["w " * length for length in [9, *[12] * 20]]  # 21 texts: the second shortest
    assert ngram_size(texts, synthetic=False) == 12
    assert ngram_size(["w " * 3] * 20, synthetic=True) == 3


def test_one_common_run_makes_a_question_dirty():
    search = Search([f"a {EIGHT} z", "b " + EIGHT.replace("four", "for")], 8)
    search.add("Here: One, two three FOUR five; six seven eight!")
    assert search.dirty == [True, False]


def test_a_run_does_not_go_on_from_one_document_to_the_next():
    search = Search([EIGHT], 8)
    search.add("one two three four")
    search.add("five six seven eight")
    assert search.dirty == [False]


def test_words_in_another_order_are_another_run():
    search = Search([EIGHT], 8)
    search.add("eight seven six five four three two one")
    search.add("two one three four five six seven eight")
    assert search.dirty == [False]


def test_a_question_shorter_than_a_run_is_clean():
    search = Search(["one two", ""], 8)
    search.add("one two")
    assert search.dirty == [False, False]


def test_the_search_is_what_comparing_all_runs_would_be():
    rng = random.Random(0)
    documents = [" ".join(rng.choice("abcd") for _ in range(60)) for _ in range(5)]
    texts = [" ".join(rng.choice("abcd") for _ in range(12)) for _ in range(40)]
    synthetic = Config(prompt="", answer="{a}", source={"synthetic": "arithmetic"})
    instances = [Instance("f:1", "", ("",), (text,), (text,), 0) for text in texts]
    run = TaskRun("sums", synthetic, instances, list(range(40)), {}, 0)
    ((n, found),) = search_tasks([run], documents)
    runs = {tuple(d.split()[i : i + n]) for d in documents for i in range(61 - n)}
    expected = [any(tuple(t.split()[i : i + n]) in runs for i in range(13 - n)) for t in texts]
    assert n == 12
    assert found == expected
    search = Search(texts, 6)
    for document in documents:
        search.add(document)
    runs = {tuple(d.split()[i : i + 6]) for d in documents for i in range(55)}
    expected = [any(tuple(t.split()[i : i + 6]) in runs for i in range(7)) for t in texts]
    assert search.dirty == expected
    assert 0 < sum(expected) < 40
