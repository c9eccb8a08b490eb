"""Sentences: known cuts in English and Korean, nothing lost, ids unchanged, work in proportion to the text."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from nlptool.text.config import Sentences, Source
from nlptool.text.corpus import ReadStats, documents
from nlptool.text.sentences import BLOCK, segmenter

english = segmenter(Sentences())
korean = segmenter(Sentences(language="ko"))
lines = segmenter(Sentences(split="line"))
whole = segmenter(Sentences(split="none"))


def test_white_space_belongs_to_the_sentence_after_it() -> None:
    assert english(" One is here.  Two is there.\n\nThree. ") == [
        " One is here.",
        "  Two is there.",
        "\n\nThree. ",
    ]


def test_abbreviations_numbers_and_initials_do_not_end_a_sentence() -> None:
    text = "Dr. J. Smith paid $3.50 in Washington D.C. on Jan. 5 at 10.30. He left."
    assert english(text) == ["Dr. J. Smith paid $3.50 in Washington D.C. on Jan. 5 at 10.30.", " He left."]


def test_a_stop_inside_a_word_is_no_boundary() -> None:
    assert english("Visit example.Com or ESRX.O today. Then rest.") == [
        "Visit example.Com or ESRX.O today.",
        " Then rest.",
    ]


def test_an_opening_quotation_mark_goes_with_what_it_opens() -> None:
    assert english('He fell. "Get up!" she said. (No one moved.) Then he rose.')[:2] == [
        "He fell.",
        ' "Get up!" she said.',
    ]


def test_a_line_wrapped_in_the_middle_of_a_sentence_stays_one_sentence() -> None:
    assert english("The river runs\nthrough the town. It\nis old.") == [
        "The river runs\nthrough the town.",
        " It\nis old.",
    ]


def test_a_blank_line_ends_a_sentence_without_a_stop() -> None:
    assert english("CHAPTER I\n\n \nIt rained.") == ["CHAPTER I", "\n\n \nIt rained."]


def test_a_long_quotation_is_cut_inside() -> None:
    speech = '"' + "We walked on for an hour. " * 20 + 'Then we slept."'
    assert len(english(speech)) == 21


def test_an_apostrophe_does_not_swallow_a_page() -> None:
    assert len(english("'However, it was late. " + "The dogs' dinner was cold. " * 40)) == 41


def test_korean_sentences_may_follow_each_other_without_a_space() -> None:
    text = "새해가 밝았습니다.올해는 3.5% 성장했습니다! 24일에 만납시다."
    assert korean(text) == [
        "새해가 밝았습니다.",
        "올해는 3.5% 성장했습니다!",
        " 24일에 만납시다.",
    ]


def test_a_korean_quotation_goes_on_after_its_closing_mark() -> None:
    assert korean('"비가 온다."라고 그가 말했다. 나는 웃었다.') == [
        '"비가 온다."라고 그가 말했다.',
        " 나는 웃었다.",
    ]


def test_lines_can_be_sentences() -> None:
    assert lines("One. Still one.\n\n  Two\nthree\n") == ["One. Still one.", "\n\n  Two", "\nthree\n"]


def test_a_document_can_be_one_sentence() -> None:
    assert whole("One. Two.\n\nThree.") == ["One. Two.\n\nThree."]


@pytest.mark.parametrize("cut", [english, korean, lines, whole])
def test_blank_texts_are_whole_and_empty_texts_have_no_sentence(cut: Callable[[str], list[str]]) -> None:
    assert cut("") == []
    assert cut(" \n\n ") == [" \n\n "]


PIECES = [*"""aB한다3.!?…。"'“”(),é😀""", "Mr", "'s", "e.g.", "word", "했다"]
SPACES = [" ", "  ", "\n", "\n\n", "\t", "\r", "\u00a0", "\u3000", "\u2028", "\x1c", "\0", "\u0301"]
any_text = st.one_of(
    st.lists(st.sampled_from(PIECES + SPACES), max_size=60).map("".join),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("text", ["B\xa0. He left.", 'B\x85."B', "M\r\x85\u2028.\n", "A\u3000. Yes. No."])
def test_white_space_of_several_bytes_before_a_full_stop_stops_nothing(language: str, text: str) -> None:
    assert "".join(segmenter(Sentences(language=language))(text)) == text


def test_a_text_that_the_library_breaks_off_on_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(language: str, text: str) -> list[str]:
        raise PanicException("not a char boundary")

    monkeypatch.setattr("nlptool.text.sentences.sentencex.segment", panic)
    assert segmenter(Sentences(language="en"))("One. Two.") == ["One. Two."]


@settings(max_examples=150, deadline=None)
@given(any_text)
def test_no_character_is_lost_and_no_sentence_is_blank(text: str) -> None:
    for cut in (english, korean, lines):
        sentences = cut(text)
        assert "".join(sentences) == text
        assert all(sentence.strip() for sentence in sentences) or len(sentences) == 1


@settings(max_examples=150, deadline=None)
@given(any_text)
def test_the_pieces_of_a_byte_level_tokenizer_are_those_of_the_whole_text(text: str) -> None:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    expected = [piece for piece, _ in byte_level.pre_tokenize_str(text)]
    for cut in (english, korean, lines):
        found = [piece for sentence in cut(text) for piece, _ in byte_level.pre_tokenize_str(sentence)]
        assert found == expected


def test_sentences_across_blocks_are_not_cut() -> None:
    text = " ".join(f"Sentence {n} of this long line is here." for n in range(BLOCK // 10))
    assert "\n" not in text
    assert len(text) > 3 * BLOCK
    assert all(s.endswith(" of this long line is here.") for s in english(text))


@pytest.mark.parametrize(
    "unit", ["word ", "x", " ", ".", "!", '"', "(", "\n", "\n ", ". ", '." ', "x.Y.", "A. ", "'s "]
)
def test_time_grows_with_the_length_only(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.process_time()
        assert "".join(english(text)) == text
        return time.process_time() - started

    assert seconds(400_000) < 16 * seconds(100_000) + 0.1


def test_every_character_of_the_development_data_survives(shared_data: Path) -> None:
    source = Source(files=str(shared_data / "pretrain_ko" / "speeches.jsonl.xz"))
    for document, _ in zip(documents(source, ReadStats()), range(200), strict=False):
        assert "".join(korean(document.text)) == document.text
