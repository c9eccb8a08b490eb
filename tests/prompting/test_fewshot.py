"""Selection of few-shot examples."""

from collections import Counter

import pytest

from nlptool.errors import DataError
from nlptool.prompting.fewshot import FewShotPool, fewshot_prefix, sample_examples
from nlptool.prompting.loglikelihood.config import Config
from nlptool.text.tabular import Row

TASK = Config(prompt="{q} =", answer=" {a}", description="Sums:\n", fewshot_delimiter="\n")


def rows(count: int) -> list[Row]:
    return [Row(f"f:{n}", {"q": f"{n} + 1", "a": n + 1}) for n in range(count)]


def test_a_seed_and_a_number_decide_the_examples():
    pool = FewShotPool(TASK, rows(100))
    question = TASK.instance(Row("g:1", {"q": "x", "a": 1}), "")
    first = sample_examples(pool, question, 3, 5, seed=0)
    assert first == sample_examples(FewShotPool(TASK, rows(100)), question, 3, 5, seed=0)
    assert first != sample_examples(pool, question, 4, 5, seed=0)
    assert first != sample_examples(pool, question, 3, 5, seed=1)


def test_the_examples_of_fewer_shots_are_the_last_ones_of_more():
    pool = FewShotPool(TASK, rows(20))
    question = TASK.instance(Row("g:1", {"q": "x", "a": 1}), "")
    assert sample_examples(pool, question, 0, 3, seed=0) == sample_examples(pool, question, 0, 8, seed=0)[-3:]


def test_neither_the_question_nor_its_twin_is_shown():
    twins = [*rows(4), Row("f:9", {"q": "2 + 1", "a": "three"})]
    pool = FewShotPool(TASK, twins)
    for number in range(30):
        found = sample_examples(pool, pool[2], number, 3, seed=0)
        assert {one.place for one in found} == {"f:0", "f:1", "f:3"}


def test_more_shots_than_examples_is_told():
    pool = FewShotPool(TASK, rows(4))
    with pytest.raises(DataError, match="f:0: 4 few-shot examples requested, 3 other examples there") as e:
        sample_examples(pool, pool[0], 0, 4, seed=0)
    assert "num_fewshot=[3]" in str(e.value.hint)


def test_every_example_is_drawn_about_as_often():
    pool = FewShotPool(TASK, rows(10))
    question = TASK.instance(Row("g:1", {"q": "x", "a": 1}), "")
    counts = Counter(one.place for n in range(2000) for one in sample_examples(pool, question, n, 2, seed=0))
    assert len(counts) == 10
    assert all(330 < count < 470 for count in counts.values())  # 400 on average, deviation 18


def test_the_header_comes_first_and_a_separator_behind_each_example():
    pool = FewShotPool(TASK, rows(2))
    assert (
        fewshot_prefix(TASK.description, TASK.fewshot_delimiter, [pool[0], pool[1]])
        == "Sums:\n0 + 1 = 1\n1 + 1 = 2\n"
    )
    assert fewshot_prefix("", "\n", []) == ""


def test_no_turn_of_the_questions_own_dialogue_is_shown():
    turns = [Row(f"f:{n}, turn {t}", {"q": f"{n}.{t}", "a": t}) for n in range(4) for t in (1, 2)]
    pool = FewShotPool(TASK, turns)
    for number in range(30):
        assert not [
            one for one in sample_examples(pool, pool[2], number, 6, seed=0) if one.place.startswith("f:1,")
        ]
    with pytest.raises(DataError, match="6 other examples there"):
        sample_examples(pool, pool[2], 0, 7, seed=0)
