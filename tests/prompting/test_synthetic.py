"""Synthetic rows."""

import random
import re
from collections import Counter

import pytest

from nlptool.prompting import synthetic

SCRAMBLED = "Please unscramble the letters into a word, and write that word:\n"


@pytest.mark.parametrize("part", ["2da", "2ds", "3da", "4ds", "5da", "2dm", "1dc"])
def test_a_sum_is_right_and_within_its_digits(part: str):
    rng = random.Random(0)
    for _ in range(300):
        question, answer = synthetic.sum_of(part, rng)
        text = re.fullmatch(r"Q: What is (.+)\?\nA:", question)[1]
        for word, sign in (("plus", "+"), ("minus", "-"), ("times", "*")):
            text = text.replace(f" {word} ", sign)
        assert answer == f" {eval(text)}"
        assert all(len(number) <= int(part[0]) for number in re.findall(r"\d+", text))


def test_the_words_are_those_of_gpt_3():
    assert re.fullmatch(r"Q: What is \d+ plus \d+\?\nA:", synthetic.sum_of("2da", random.Random(0))[0])
    assert re.fullmatch(
        r"Q: What is \d[-+*]\(\d[-+*]\d\)\?\nA:", synthetic.sum_of("1dc", random.Random(0))[0]
    )
    shown, answer = synthetic.scrambled("reversed_words", "casino", random.Random(0))
    assert (shown, answer) == (f"{SCRAMBLED}onisac =", " casino")


@pytest.mark.parametrize("part", ["cycle_letters", "anagrams1", "anagrams2"])
def test_scrambled_letters_are_the_words_own(part: str):
    for number in range(200):
        context, _ = synthetic.scrambled(part, "inevitably", random.Random(number))
        shown = context.removeprefix(SCRAMBLED).removesuffix(" =")
        assert Counter(shown) == Counter("inevitably")
        if part == "cycle_letters":
            assert shown in "inevitably" * 2
            assert shown != "inevitably"
        else:
            kept = int(part[-1])
            assert (shown[:kept], shown[-kept:]) == ("inevitably"[:kept], "inevitably"[-kept:])


def test_a_sign_stands_behind_each_letter():
    context, _ = synthetic.scrambled("random_insertion", "bell", random.Random(1))
    shown = context.removeprefix(SCRAMBLED).removesuffix(" =")
    assert shown[::2] == "bell"
    assert not re.search(r"\w", shown[1::2].replace("_", ""))


def test_a_seed_decides_the_rows_and_examples_are_other_words():
    first = list(synthetic.rows("scrambling", "anagrams1", "validation", 0))
    assert first == list(synthetic.rows("scrambling", "anagrams1", "validation", 0))
    assert first != list(synthetic.rows("scrambling", "anagrams1", "validation", 1))
    shown = list(synthetic.rows("scrambling", "anagrams1", "train", 0))
    assert (len(first), len(shown)) == (1800, 200)
    words = [{row.values["completion"] for row in rows} for rows in (first, shown)]
    assert words[0].isdisjoint(words[1])
    assert len(list(synthetic.rows("arithmetic", "2da", "validation", 0))) == 2000


def test_the_words_are_english_ones_of_4_to_15_letters():
    words = synthetic.words()
    assert len(set(words)) == 2000
    assert all(re.fullmatch("[a-z]{4,15}", word) for word in words)
    assert {"people", "government", "country"} < set(words)
