"""Files in CoNLL's columns."""

import io

import pytest

from nlptool.errors import DataError
from nlptool.text.columns import sentences


def read(text: str) -> list[tuple[str, dict[str, list[str]]]]:
    return list(sentences("f", io.BytesIO(text.encode())))


def test_an_empty_line_ends_a_sentence_and_the_last_one_needs_none():
    found = read("\n\n안녕 O\n서울 B-LOC\n \n\nNaïve O")
    assert found == [
        ("f:3", {"tokens": ["안녕", "서울"], "ner_tags": ["O", "B-LOC"]}),
        ("f:7", {"tokens": ["Naïve"], "ner_tags": ["O"]}),
    ]


def test_four_columns_have_the_names_of_conll_2003_and_documents_are_no_sentences():
    found = read("-DOCSTART- -X- -X- O\r\n\r\nBerlin NNP B-NP B-LOC\r\n")
    names = ("tokens", "pos_tags", "chunk_tags", "ner_tags")
    values = (["Berlin"], ["NNP"], ["B-NP"], ["B-LOC"])
    assert found == [("f:3", dict(zip(names, values, strict=True)))]


def test_tabs_keep_a_word_that_is_white_space_or_holds_some():
    assert read("서\tO\n \tO\nNew York\tB-LOC\n")[0][1]["tokens"] == ["서", " ", "New York"]


def test_one_column_is_words_without_tags_and_three_have_one_between():
    assert read("a\nb\n") == [("f:1", {"tokens": ["a", "b"]})]
    assert list(read("a b c\n")[0][1]) == ["tokens", "column_2", "ner_tags"]


def test_a_line_of_another_width_and_one_that_is_no_text_are_told():
    with pytest.raises(DataError, match="f:2: 1 column, but the lines above have 2"):
        read("a O\nb\n")
    with pytest.raises(DataError, match="f:1: the byte 0xff"):
        list(sentences("f", io.BytesIO(b"\xff O\n")))


def test_a_file_without_a_line_has_no_sentence():
    assert read("") == read("\n\n") == []
