"""Removed lines: those that are not prose, and those shared by many documents; shares of sources."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool.corpus import lines, repeated_lines
from nlptool.corpus.config import Lines, Mix, RepeatedLines
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.lines import COUNTER
from nlptool.corpus.repeated_lines import numbers

PROSE = "The river runs through the old town, and nobody knows who built the bridge."


def through(config: Lines, text: str) -> str | Dropped:
    found = lines.Block(config)(Document("a:1", "web", text, {}), Figures())
    return found if isinstance(found, Dropped) else found.text


@pytest.mark.parametrize(
    "line",
    [
        "Home",
        "3 likes",
        "1,204 Comments",
        "2.4K views",
        "조회수 1,234",
        "댓글 3개",
        "좋아요 12",
        "12 / 04 / 2019",
        "- 17 -",
        "SIGN IN OR REGISTER NOW",
    ],
)
def test_lines_that_are_no_prose_are_removed(line: str):
    config = Lines(max_removed=None)
    assert through(config, f"{PROSE}\n{line}\n{PROSE}") == f"{PROSE}\n{PROSE}"


@pytest.mark.parametrize(
    "line",
    [
        "Three people like it.",
        "3 likes are not enough.",
        "댓글 3개를 지웠다.",
        "NASA flew there in 1969.",
        "Ωδε κεῖται",
        "두 단어",
    ],
)
def test_prose_stays(line: str):
    assert through(Lines(max_removed=None), f"{PROSE}\n{line}\n{PROSE}") == f"{PROSE}\n{line}\n{PROSE}"


def test_each_rule_is_a_key():
    text = "Home\nA1 B2 C3 D\n7 8 9\n3 likes\nplain words here"
    off = Lines(min_words=None, max_uppercase=None, numbers=False, counters=False, max_removed=None)
    assert through(off, text) == text
    for change, gone in {"min_words": 2, "max_uppercase": 0.9, "numbers": True, "counters": True}.items():
        left = through(off.model_copy(update={change: gone}), text)
        assert isinstance(left, str)
        assert len(left.splitlines()) == 4


def test_a_document_of_which_too_much_is_gone_is_dropped():
    text = f"{PROSE}\nHOME PAGE OF US"
    found = through(Lines(max_removed=0.2), text)
    assert found == Dropped("lines.max_removed", 4 / 18, 0.2)
    assert through(Lines(max_removed=0.25), text) == PROSE
    assert through(Lines(max_removed=None), "Home\n\nMenu") == Dropped("lines.min_chars", 0, 1)


def test_blank_lines_part_paragraphs_as_before():
    assert through(Lines(max_removed=None), f"Menu\n\n{PROSE}\n\nShare\n\n{PROSE}\n\nTop") == (
        f"{PROSE}\n\n{PROSE}"
    )


@settings(max_examples=30)
@given(st.text())
def test_any_text_goes_through_and_a_second_time_nothing_changes(text: str):
    config = Lines(max_removed=None)
    once = through(config, text)
    if not isinstance(once, Dropped):
        assert through(config, once) == once


def test_a_counter_is_found_in_linear_time():
    assert COUNTER.fullmatch(". " * 20_000 + "1" * 20_000 + " like it") is None


def test_lines_are_alike_but_for_case_numbers_and_white_space():
    one, other, blank, third = numbers("Page 3 of 10\nPAGE  7 of 99 \n \nPage three", "a.example")
    assert one == other != third
    assert blank == 0
    assert numbers("Page 3 of 10", "b.example") != [one]


def documents(sites: int, each: int) -> list[Document]:
    """Documents of some sites, each with a line of its own, one of its site, and one of all sites."""
    return [
        Document(
            f"{site}:{at}",
            "web",
            f"Own line {chr(97 + site)}{'x' * at} here\nAll rights of site {chr(97 + site)}\nCookies are good for you",
            {"url": f"https://{chr(97 + site)}.example/{at}"},
        )
        for site in range(sites)
        for at in range(each)
    ]


def counted(found: list[Document], config: RepeatedLines, folder: Path) -> repeated_lines.Repeated:
    files = []
    for at in range(0, len(found), 4):
        files.append(folder / f"{at}.npy")
        np.save(
            files[-1], np.concatenate([repeated_lines.of_document(one, config) for one in found[at : at + 4]])
        )
    return repeated_lines.count(files, config.max_documents)


@pytest.mark.parametrize(("scope", "left"), [("site", 1), ("corpus", 2)])
def test_lines_that_more_documents_share_are_removed_from_all(scope: str, left: int, tmp_path: Path):
    found = documents(3, 5)
    config = RepeatedLines.model_validate({"max_documents": 4 if scope == "site" else 14, "scope": scope})
    repeated = counted(found, config, tmp_path)
    block = repeated_lines.Block(config, repeated.values)
    for one in found:
        made = block(one, Figures())
        assert isinstance(made, Document)
        assert made.text.splitlines() == one.text.splitlines()[:left]
    most = repeated_lines.most_frequent(repeated)
    texts = repeated_lines.texts_of(found, config, most)
    assert {texts[number] for number in most} >= {"Cookies are good for you"}
    assert set(most.values()) == ({5} if scope == "site" else {15})


def test_counting_a_range_at_a_time_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    chance = np.random.default_rng(0)
    values = chance.integers(0, 40, 300).astype(np.uint64) * np.uint64(2**64 // 41)
    np.save(tmp_path / "a.npy", values[:170])
    np.save(tmp_path / "b.npy", values[170:])
    files = [tmp_path / "a.npy", tmp_path / "b.npy"]
    whole = repeated_lines.count(files, 7)
    expected = {value: often for value, often in Counter(values.tolist()).items() if often > 7}
    assert dict(zip(whole.values.tolist(), whole.counts.tolist(), strict=True)) == expected
    monkeypatch.setattr(repeated_lines, "AT_A_TIME", 50)
    parts = repeated_lines.count(files, 7)
    assert parts.values.tolist() == whole.values.tolist()
    assert parts.counts.tolist() == whole.counts.tolist()


@pytest.mark.parametrize("weights", [{"a": 0}, {"a": -1}, {"a": float("inf")}, {"a": float("nan")}, {}])
def test_weights_are_numbers_above_0(weights: dict[str, float]):
    with pytest.raises(ValueError, match="weight"):
        Mix(weights=weights)
