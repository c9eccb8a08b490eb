"""Filters: dropped and kept documents, with figures by hand and slow references of the papers' rules."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool.corpus import c4, fineweb, gopher
from nlptool.corpus.document import Block, Document, Dropped, Figures
from nlptool.corpus.filter_config import C4, FineWeb, GopherQuality, GopherRepetition
from nlptool.corpus.words import words_of

KOREAN = ("은", "는", "이", "가", "을", "를", "에", "의", "다", "고")
PROSE = (
    "The river runs through the old town and past the mill. Nobody remembers who built the bridge that stands there. "
    "Each spring the water rises to the third step, and children count them with sticks. In winter it is silent. "
    "My grandmother used to say that you have to listen before you can cross. She had her reasons to say so."
)


def through(block: Block, text: str) -> Document | Dropped:
    return block(Document("a:1", "web", text, {}), Figures())


def rule(block: Block, text: str) -> str | None:
    found = through(block, text)
    return found.rule if isinstance(found, Dropped) else None


def slow_duplicate_ngrams(words: list[str], n: int) -> int:
    """Gopher's count, as datatrove has it."""
    known, characters, at = set(), 0, 0
    while at < len(words) - n + 1:
        gram = tuple(words[at : at + n])
        if gram in known:
            characters += sum(map(len, gram))
            at += n
        else:
            known.add(gram)
            at += 1
    return characters


def slow_top_ngram(words: list[str], n: int) -> int:
    grams = Counter(" ".join(words[at : at + n]) for at in range(len(words) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]
    return len(gram) * count


@given(st.lists(st.sampled_from(["a", "bc", "def", "g", "hij", "가", "나는"]), max_size=60))
def test_ngrams_are_counted_as_by_hand(words: list[str]):
    text = " ".join(words)
    for n, top, repeated in gopher._ngrams(words_of(text)):
        assert top == slow_top_ngram(words, n)
        if n >= 5:
            assert repeated == slow_duplicate_ngrams(words, n)


def test_prose_passes_all_filters():
    for block in (
        gopher.Repetition(GopherRepetition()),
        gopher.Quality(GopherQuality()),
        c4.Rules(C4()),
        fineweb.Rules(FineWeb()),
    ):
        assert rule(block, PROSE) is None, block.name


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        (PROSE + "\n" + PROSE, "gopher_repetition.dup_line_frac"),
        (f"{PROSE}\n\n{PROSE}", "gopher_repetition.dup_para_frac"),
        ("buy now " * 30 + PROSE, "gopher_repetition.top_2_gram"),
        (f"{PROSE} {PROSE}", "gopher_repetition.dup_5_grams"),
    ],
)
def test_repetition_is_dropped_by_its_rule(text: str, dropped: str):
    assert rule(gopher.Repetition(GopherRepetition()), text) == dropped


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ("too short", "min_words"),
        ("a b " * 60 + "the of", "min_word_length"),
        ("incomprehensibilities the of " * 60, None),
        ("incomprehensibilities " * 60 + "the of", "max_word_length"),
        (PROSE + " #" * 40, "max_hash_ratio"),
        (PROSE.replace(" ", "... ", 20), "max_ellipsis_ratio"),
        ("\n".join(f"- {line}" for line in PROSE.split(". ")), "max_bullet_lines"),
        ("\n".join(f"{line} ..." for line in PROSE.split(". ")), "max_ellipsis_lines"),
        ("the of " + "12345 " * 60, "min_alpha_words"),
        ("nobody knew where river water came down from " * 8, "min_stop_words"),
        ("I'm — !!! a b c d " * 60, "min_word_length"),
    ],
)
def test_quality_is_judged_by_its_rule(text: str, dropped: str | None):
    found = rule(gopher.Quality(GopherQuality()), text)
    assert found == (dropped and f"gopher_quality.{dropped}")


def test_punctuation_alone_is_no_word():
    quality = gopher.Quality(GopherQuality(min_words=3, min_stop_words=None, min_alpha_words=None))
    found = through(quality, "— one !!! two ...")
    assert isinstance(found, Dropped)
    assert (found.value, found.limit) == (2, 3)


def test_korean_stop_words_are_endings_of_eojeol():
    text = "나라가 바로 서려면 국민이 먼저 일어나야 합니다. " * 3
    words = GopherQuality(min_words=5, min_word_length=2, max_word_length=7)
    assert rule(gopher.Quality(words), text) == "gopher_quality.min_stop_words"
    endings = words.model_copy(update={"stop_words": KOREAN, "stop_word_match": "ending"})
    assert rule(gopher.Quality(endings), text) is None
    assert rule(gopher.Quality(endings), "ㅋㅋㅋ ㅎㅎ " * 30) is not None


def test_c4_removes_lines_and_keeps_the_rest():
    text = "\n".join(
        [
            "Home | About | Contact",
            "The first sentence [1] is here. The second one follows it.",
            "Please enable Javascript to read this page.",
            "We have a privacy policy that you may read here.",
            "Two words.",
            "Third sentence stands alone here. Is this the fourth? And this is the fifth!",
            "It ends in nothing",
        ]
    )
    found = through(c4.Rules(C4()), text)
    assert isinstance(found, Document)
    assert found.text.split("\n") == [
        "The first sentence  is here. The second one follows it.",
        "Third sentence stands alone here. Is this the fourth? And this is the fifth!",
    ]
    loose = through(c4.Rules(C4(terminal_punctuation=False)), text)
    assert isinstance(loose, Document)
    assert "It ends in nothing" in loose.text


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        (PROSE + "\nLorem ipsum dolor sit amet.", "c4.lorem_ipsum"),
        (PROSE + "\nfunction f() { return 1; } ends here.", "c4.curly_bracket"),
        ("One sentence is too little.", "c4.min_sentences"),
    ],
)
def test_c4_drops_documents(text: str, dropped: str):
    assert rule(c4.Rules(C4()), text) == dropped


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ("\n".join(["no end of a line that is longer than thirty characters"] * 2), "min_punctuated_lines"),
        ("\n".join(["Short one.", "Short two.", "Short three."]), "max_short_lines"),
        (f"{PROSE}\n{PROSE}", "max_duplicate_chars"),
        ("\n".join(f"{word * 40}." for word in "abcde"), "max_lines_per_word"),
        (
            "문장이 여기에서 끝난다. 그리고 다음 문장이 이어진다고 하자。\n"
            "세 번째 줄도 충분히 길게 써 두었으니 괜찮을 것이다！",  # noqa: RUF001
            None,
        ),
    ],
)
def test_fineweb_judges_lines(text: str, dropped: str | None):
    assert rule(fineweb.Rules(FineWeb()), text) == (dropped and f"fineweb.{dropped}")


def test_a_text_without_any_punctuated_line_may_be_kept():
    line = "no end of a line that is longer than thirty characters"
    assert rule(fineweb.Rules(FineWeb(exclude_zero=True)), line) is None
    lines = "\n".join(f"{number} {line}" for number in range(9))
    assert rule(fineweb.Rules(FineWeb(exclude_zero=True)), f"{lines}.") == "fineweb.min_punctuated_lines"


def test_a_rule_that_is_null_is_off():
    assert rule(gopher.Quality(GopherQuality(min_words=None, min_stop_words=None)), "short") is None


@given(st.text(min_size=1, max_size=100))
@settings(max_examples=50)
def test_any_text_passes_or_is_dropped_with_a_figure_beyond_its_limit(text: str):
    for block in (
        gopher.Repetition(GopherRepetition()),
        gopher.Quality(GopherQuality()),
        c4.Rules(C4()),
        fineweb.Rules(FineWeb()),
    ):
        found = through(block, text)
        if isinstance(found, Dropped):
            assert found.limit is not None
            assert found.value != found.limit
        else:
            assert rule(block, found.text) is None  # what has passed passes again
