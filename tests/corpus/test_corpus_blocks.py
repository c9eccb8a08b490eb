"""Blocks that change or drop documents one by one: addresses, repair, language, personal data, benchmarks."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool import extras
from nlptool.corpus import decontaminate, language, pii, repair, urls
from nlptool.corpus.config import DecontaminationRule, Language, Pii, Repair, Urls
from nlptool.corpus.decontaminate import benchmark
from nlptool.corpus.document import Block, Document, Dropped, Figures
from nlptool.corpus.pii import is_card, is_resident_number
from nlptool.errors import DataError, UsageError
from nlptool.text.ngram_overlap import spans, words


def through(block: Block, text: str, **facts: Any) -> Document | Dropped:
    return block(Document("a:1", "web", text, facts), Figures())


def text_of(block: Block, text: str) -> str:
    found = through(block, text)
    assert isinstance(found, Document)
    return found.text


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://en.wikipedia.org/wiki/Bell", "urls.block_domains"),
        ("http://WIKIPEDIA.org:80/", "urls.block_domains"),
        ("https://notwikipedia.org/", None),
        ("https://spam.example/x", "urls.block_domains"),
        ("https://shop.test/Casino-bonus", "urls.block_words"),
        ("http://[broken", None),
        ("", None),
    ],
)
def test_pages_are_dropped_by_their_address(url: str, rule: str | None, tmp_path: Path):
    (tmp_path / "list").write_text("# bad ones\nspam.example  # since 2020\n\n")
    block = urls.Block(
        Urls(block_domains=("wikipedia.org",), block_lists=(str(tmp_path / "list"),), block_words=("casino",))
    )
    found = through(block, "text", url=url)
    assert (found.rule if isinstance(found, Dropped) else None) == rule
    assert isinstance(through(block, "no address"), Document)


def test_a_list_that_is_not_there_is_named():
    with pytest.raises(DataError, match="nowhere: no such file"):
        urls.Block(Urls(block_lists=("nowhere",)))


def test_a_text_is_composed_and_mojibake_undone():
    pytest.importorskip("ftfy")
    block = repair.Block(Repair(mojibake=True))
    assert text_of(block, "하다") == "하다"
    assert text_of(block, "cafÃ© â€œquotedâ€\x9d") == "café “quoted”"
    assert text_of(block, "ÃÂ naïve façade") == text_of(repair.Block(Repair()), "ÃÂ naïve façade")


def test_white_space_at_the_end_of_lines_is_removed():
    block = repair.Block(Repair())
    assert text_of(block, "여러분! \n\u00a0 \n 감사합니다.\t") == "여러분!\n\n 감사합니다."
    assert text_of(repair.Block(Repair(strip_lines=False)), "a \nb") == "a \nb"
    whole = Document("1", "web", "one\n\ntwo", {})
    assert block(whole, Figures()) is whole


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The old river runs through the town, and nobody knows how old the bridge is.", "en"),
        ("나라가 바로 서려면 국민이 먼저 일어나야 합니다.", "ko"),
        ("ㅋㅋㅋ 진짜 good", "ko"),
        ("La rivière traverse la vieille ville, et personne ne sait quand le pont fut bâti.", "fr"),
        ("这条河流穿过古老的城镇，没有人知道这座桥是什么时候建造的。", "zh"),  # noqa: RUF001
        ("12345 !!!", ""),
    ],
)
def test_a_language_is_told(text: str, code: str):
    pytest.importorskip("fasttext")
    block = language.Block(Language(keep=("en", "ko")))
    assert block.of(text)[0] == code
    found = through(block, text)
    if code in ("en", "ko"):
        assert isinstance(found, Document)
        assert found.facts["language"] == code
        assert 0.65 <= found.facts["language_score"] <= 1
    else:
        assert isinstance(found, Dropped)
        assert found.rule == "language.keep"


def test_a_text_of_no_clear_language_is_dropped_by_its_score():
    pytest.importorskip("fasttext")
    found = through(language.Block(Language(keep=("en",), min_score=1.0)), "the river runs")
    assert isinstance(found, Dropped)
    assert (found.rule, found.limit) == ("language.min_score", 1.0)


def test_what_is_not_installed_or_no_model_is_one_clear_line(tmp_path: Path):
    with pytest.raises(
        UsageError, match="language: needs the package nothing_here, which is not installed"
    ) as told:
        extras.required("nothing_here", "language", "corpus")
    assert (told.value.hint or "").startswith("pip install ")
    with pytest.raises(UsageError, match="needs the package nothing-here"):
        extras.package_file("nothing-here", "x", "language", "corpus")
    pytest.importorskip("fasttext")
    (tmp_path / "model").write_bytes(b"no model")
    with pytest.raises(UsageError, match="is not a fastText model"):
        language.Block(Language(keep=("en",), model=str(tmp_path / "model")))


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("900101-1234568", True),
        ("9001011234568", True),
        ("900101-1234567", False),  # check digit
        ("901301-1234563", False),  # month 13
        ("900101-9234568", False),  # no such kind
    ],
)
def test_resident_numbers_have_a_date_and_a_check_digit(number: str, right: bool):
    assert is_resident_number(number) is right
    text = text_of(pii.Block(Pii()), f"주민번호는 {number}입니다.")
    assert (number not in text) is right


def test_what_names_a_person_is_replaced_and_the_rest_stays():
    text = "mail a.b+c@mail.example.co.kr or 사용자@daum.net, 8.8.8.8, 10.0.0.1, 1.2.3, 1.2.3.4.5, 010-1234-5678, @home"
    found = text_of(pii.Block(Pii()), text)
    assert found == (
        "mail email@example.com or email@example.com, 192.0.2.1, 10.0.0.1, 1.2.3, 1.2.3.4.5, 010-1234-5678, @home"
    )
    everything = pii.Block(Pii(phone="replace", card="replace"))
    assert text_of(everything, "010-1234-5678; 4111 1111 1111 1111; 4111 1111 1111 1112") == (
        "010-0000-0000; 0000-0000-0000-0000; 4111 1111 1111 1112"
    )
    assert text_of(pii.Block(Pii(email="keep")), "a@b.com") == "a@b.com"


def test_cards_have_luhns_digit():
    assert is_card("4111111111111111")
    assert not is_card("4111111111111112")
    assert not is_card("0000000000000000")


@settings(max_examples=30)
@given(st.text(alphabet="ab@.01 9-가", max_size=60))
def test_a_text_that_has_been_through_is_left_alone(text: str):
    block = pii.Block(Pii(phone="replace", card="replace"))
    once = text_of(block, text)
    assert text_of(block, once) == once


QUESTION = "Where did the old keeper of the lighthouse hide the silver key before the storm came?"


def filler(seed: int, count: int) -> str:
    return " ".join(f"filler{seed}x{number}" for number in range(count))


def cutting(**rule: int) -> decontaminate.Block:
    return decontaminate.Block(DecontaminationRule(**rule), (benchmark([QUESTION, "too short"]),))


def test_a_benchmark_is_cut_out_with_what_surrounds_it():
    text = f"{filler(1, 60)} {QUESTION.upper().replace('?', ' -')} {filler(2, 60)}"
    found = text_of(cutting(), text)
    assert "KEEPER" not in found
    before, after = found.split("\n\n")
    at = text.index("WHERE")
    assert before == text[: at - 200].strip()
    assert text.endswith(after)
    assert abs(len(text) - text.index(after) - len(after)) == 0


def test_a_clean_text_is_left_alone_and_half_a_question_is_too_little():
    text = f"{filler(1, 50)} Where did the old keeper go? {filler(2, 50)}"
    assert through(cutting(), text) == Document("a:1", "web", text, {})


def test_what_is_cut_too_often_or_too_short_is_dropped():
    often = through(cutting(window=1), f"{filler(1, 50)} {QUESTION} ".join(" " for _ in range(13)))
    assert isinstance(often, Dropped)
    assert often.rule == "decontaminate.max_pieces"
    short = through(cutting(), f"a few words {QUESTION} and a few more")
    assert isinstance(short, Dropped)
    assert (short.rule, short.limit) == ("decontaminate.min_piece", 200)


@settings(max_examples=30)
@given(st.text(max_size=80))
def test_words_and_their_places_agree(text: str):
    assert len(words(text)) == len(spans(text))
