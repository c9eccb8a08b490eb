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


def test_a_first_column_of_numbers_is_no_word():
    given = "1 네 O\n\n1 서울 B-LOC\n2 은 O\n\n1 1 O\n"
    assert [values for _, values in read(given)] == [
        {"tokens": ["네"], "ner_tags": ["O"]},
        {"tokens": ["서울", "은"], "ner_tags": ["B-LOC", "O"]},
        {"tokens": ["1"], "ner_tags": ["O"]},
    ]
    assert read("1 CD O\n")[0][1]["tokens"] == ["1"]
    assert read("1\tO\n2\tO\n")[0][1]["tokens"] == ["1", "2"]


def test_comments_before_words_with_tabs_are_passed_over():
    klue = "## klue-ner-v1_train_00000-nsmc\t<서울:LC>은 좋다\n서\tB-LC\n \tO\n\n"
    assert read(klue) == [("f:2", {"tokens": ["서", " "], "ner_tags": ["B-LC", "O"]})]
    assert read("; 나는 간다.\n$나는 간다.\n나\tNP\tO\n")[0][1]["tokens"] == ["나"]
    assert read("#\tO\n1\tO\n")[0][1]["tokens"] == ["#", "1"]
    assert read("# # B-NP\n1 CD I-NP\n")[0][1]["tokens"] == ["#", "1"]


def test_a_document_line_may_have_any_width_and_stand_anywhere():
    assert [at for at, _ in read("-DOCSTART- -X- O\na O\n-DOCSTART-\nb O\n")] == ["f:2", "f:4"]


def test_a_file_without_a_line_has_no_sentence():
    assert read("") == read("\n\n") == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("; 좋다\n$좋다\n1\t좋\tVA\tO\n2\t다\tEC\tO\n", ["좋", "다"]),
        ("#newdoc\n# text = it is\n1\tit\tO\n2\tis\tO\n", ["it", "is"]),
        ("#\tO\n1\tB-X\n", ["#", "1"]),
        ("$\tO\n5\tB-M\n", ["$", "5"]),
    ],
)
def test_a_comment_has_no_tab_and_a_word_may_begin_as_one(lines: str, words: list[str]):
    assert [row["tokens"] for _, row in read(lines)] == [words]
