"""TinyBERT's augmentation: word segmentation, and the copies of an example."""

import re

import numpy as np
import pytest

from nlptool.data.augmentation import augmented_copies, word_spans
from nlptool.text.tabular import Example

TEXT = "The  old mill, it didn't turn (2 wheels)."
OFFERED = {
    TEXT: [["A"], ["new", "red"], ["house"], [], ["won't"], ["go"], ["stones"]],
    "A bell.": [["one"], ["drum"]],
}


def example(*texts: str) -> Example:
    return Example("rows:1", (texts,), (1.0,))


def words(text: str) -> list[str]:
    return [text[begin:end] for begin, end in word_spans(text)]


def test_words_are_letters_without_the_signs_around_them():
    assert words(TEXT) == ["The", "old", "mill", "it", "didn't", "turn", "wheels"]
    assert words("state-of-the-art, naïve") == ["state", "of", "the", "art", "naïve"]
    assert words("A4 is 3rd x_y 42 b2b") == ["is"]


def test_korean_words_are_eojeols_without_punctuation():
    assert words("영화가 정말, 재미있었다!") == ["영화가", "정말", "재미있었다"]


def test_what_surrounds_a_word_stays_as_it_is():
    between = re.split("|".join(map(re.escape, words(TEXT))), TEXT)
    for made in list(augmented_copies(example(TEXT), OFFERED, 20, 0.4, 0, 0)):
        (text,) = made.inputs[0]
        assert "".join(between) == re.sub(
            "|".join(["A|new|red|house|won't|go|stones", *words(TEXT)]), "", text
        )
        assert made.label == (1.0,)


def test_all_words_are_replaced_at_1_and_none_at_0():
    _, *made = augmented_copies(example(TEXT), OFFERED, 50, 1.0, 0, 0)
    assert {copy.inputs[0][0] for copy in made} == {
        f"A  {new} house, it won't go (2 stones)." for new in ("new", "red")
    }
    assert list(augmented_copies(example(TEXT), OFFERED, 50, 0.0, 0, 0)) == [example(TEXT)]


def test_each_candidate_is_as_likely_as_the_others():
    """Of different copies: equal ones are left out, and so is what equals the example."""
    offered, found = {"w x": [["a", "b", "c", "d"], ["e"]]}, []
    for row in range(1000):
        _, *made = augmented_copies(example("w x"), offered, 20, 0.4, 7, row)
        found += [copy.inputs[0][0].split()[0] for copy in made]
    kinds, counts = np.unique(found, return_counts=True)
    assert list(kinds) == ["a", "b", "c", "d", "w"]
    assert counts[:4].max() < 1.1 * counts[:4].min()


@pytest.mark.parametrize("probability", [0.1, 0.4])
def test_each_word_is_replaced_with_the_given_probability(probability: float):
    text = " ".join(["word"] * 2000)
    offered = {text: [["other"]] * 2000}
    _, made = augmented_copies(example(text), offered, 1, probability, 3, 5)
    share = made.inputs[0][0].split().count("other") / 2000
    assert share == pytest.approx(probability, abs=5 * np.sqrt(probability * (1 - probability) / 2000))


def test_a_copy_depends_on_seed_row_and_number_only():
    few = list(augmented_copies(example(TEXT), OFFERED, 5, 0.4, 1, 3))
    many = list(augmented_copies(example(TEXT), OFFERED, 20, 0.4, 1, 3))
    assert many[: len(few)] == few
    assert len(few) > 2
    assert few != list(augmented_copies(example(TEXT), OFFERED, 5, 0.4, 1, 4))
    assert few != list(augmented_copies(example(TEXT), OFFERED, 5, 0.4, 2, 3))


def test_of_a_pair_one_text_is_replaced_at_a_time_and_the_first_one_first():
    first, *made = augmented_copies(example(TEXT, "A bell."), OFFERED, 6, 0.5, 0, 0)
    assert first == example(TEXT, "A bell.")
    changed = [(copy.inputs[0][0] != TEXT, copy.inputs[0][1] != "A bell.") for copy in made]
    assert set(changed) == {(True, False), (False, True)}
    assert changed == sorted(changed, reverse=True)
    assert len({copy.inputs for copy in made}) == len(made)


def test_a_question_is_replaced_alike_before_all_choices():
    shared = Example("rows:1", ((TEXT, "x"), (TEXT, "y")), (0.0,))
    made = list(augmented_copies(shared, OFFERED | {"x": [[]], "y": [["z"]]}, 4, 0.5, 0, 0))
    assert len(made) > 4
    assert all(copy.inputs[0][0] == copy.inputs[1][0] for copy in made)
    assert made[-1].inputs == ((TEXT, "x"), (TEXT, "z"))


def test_a_text_without_words_has_no_copies():
    assert list(augmented_copies(example("... 42"), {"... 42": []}, 20, 0.4, 0, 0)) == [example("... 42")]
