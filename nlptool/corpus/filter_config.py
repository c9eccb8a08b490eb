"""Recipe blocks of the filters of `corpus`: limits of a text's statistics. Light to import."""

from typing import Literal

from pydantic import Field

from nlptool.recipe import RecipeBlock

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class GopherRepetition(RecipeBlock):
    """Repetition (Rae et al. 2021, table A1): a document above any of these shares is dropped; null turns one off."""

    dup_para_frac: float | None = Field(0.3, ge=0, le=1, description="share of paragraphs seen before")
    dup_para_char_frac: float | None = Field(
        0.2, ge=0, le=1, description="share of characters in paragraphs seen before"
    )
    dup_line_frac: float | None = Field(0.3, ge=0, le=1, description="share of lines seen before")
    dup_line_char_frac: float | None = Field(
        0.2, ge=0, le=1, description="share of characters in lines seen before"
    )
    top_2_gram: float | None = Field(
        0.2, ge=0, le=1, description="share of characters in the most frequent 2-gram"
    )
    top_3_gram: float | None = Field(0.18, ge=0, le=1, description="the same for 3-grams")
    top_4_gram: float | None = Field(0.16, ge=0, le=1, description="the same for 4-grams")
    dup_5_grams: float | None = Field(0.15, ge=0, le=1, description="share of characters in repeated 5-grams")
    dup_6_grams: float | None = Field(0.14, ge=0, le=1, description="the same for 6-grams")
    dup_7_grams: float | None = Field(0.13, ge=0, le=1, description="the same for 7-grams")
    dup_8_grams: float | None = Field(0.12, ge=0, le=1, description="the same for 8-grams")
    dup_9_grams: float | None = Field(0.11, ge=0, le=1, description="the same for 9-grams")
    dup_10_grams: float | None = Field(0.1, ge=0, le=1, description="the same for 10-grams")


class GopherQuality(RecipeBlock):
    """Quality (Rae et al. 2021, section A1.1). Words are separated by white space; null turns a rule off."""

    min_words: int | None = Field(50, ge=0, description="fewest words that are not punctuation alone")
    max_words: int | None = Field(100_000, ge=1, description="most such words")
    min_word_length: float | None = Field(
        3, ge=0, description="least mean length of such words, in characters"
    )
    max_word_length: float | None = Field(10, ge=0, description="largest mean length of such words")
    max_hash_ratio: float | None = Field(0.1, ge=0, description="most # signs per word")
    max_ellipsis_ratio: float | None = Field(0.1, ge=0, description="most ellipses per word")
    max_bullet_lines: float | None = Field(
        0.9, ge=0, le=1, description="largest share of lines that begin with a bullet"
    )
    max_ellipsis_lines: float | None = Field(
        0.3, ge=0, le=1, description="largest share of lines that end with an ellipsis"
    )
    min_alpha_words: float | None = Field(
        0.8, ge=0, le=1, description="least share of words with a letter in them"
    )
    min_stop_words: int | None = Field(2, ge=0, description="fewest different stop words")
    stop_words: tuple[str, ...] = Field(
        STOP_WORDS, min_length=1, max_length=60, description="stop words of the language"
    )
    stop_word_match: Literal["word", "ending"] = Field(
        "word", description="a stop word is a whole word, or its ending, as Korean particles are"
    )


class C4(RecipeBlock):
    """Rules of C4 (Raffel et al. 2020, section 2.2): lines are removed, then documents with too few sentences."""

    terminal_punctuation: bool = Field(
        True, description="remove lines that do not end in . ! ? \" or '; FineWeb keeps them"
    )
    min_sentences: int | None = Field(5, ge=0, description="fewest sentences in the lines that are left")
    min_words_per_line: int = Field(3, ge=0, description="remove lines with fewer words")
    max_word_length: int = Field(1000, ge=1, description="remove lines with a longer word, in characters")
    citations: bool = Field(True, description="remove [1], [edit] and [citation needed]")
    lorem_ipsum: bool = Field(True, description="drop documents with this phrase")
    javascript: bool = Field(True, description="remove lines with this word")
    curly_bracket: bool = Field(True, description="drop documents with { in them")
    policy: bool = Field(True, description="remove lines on cookies, privacy policies and terms of use")


class FineWeb(RecipeBlock):
    """FineWeb's own rules (Penedo et al. 2024, section 3.6); null turns one off."""

    min_punctuated_lines: float | None = Field(
        0.12, ge=0, le=1, description="least share of lines that end in punctuation"
    )
    exclude_zero: bool = Field(
        False,
        description="keep documents in which no line ends in punctuation, as where a text is one line that a date ends",
    )
    max_short_lines: float | None = Field(0.67, ge=0, le=1, description="largest share of short lines")
    short_line: int = Field(30, ge=0, description="characters of a line that is short")
    max_duplicate_chars: float | None = Field(
        0.01, ge=0, le=1, description="largest share of characters in lines seen before"
    )
    max_lines_per_word: float | None = Field(0.3, ge=0, description="most line ends per word")


class Filters(RecipeBlock):
    """Rules by which documents are dropped, in this order; `c4: {}` turns one on with the paper's values."""

    gopher_repetition: GopherRepetition | None = Field(None, description="repeated lines and n-grams")
    gopher_quality: GopherQuality | None = Field(None, description="lengths, symbols, stop words")
    c4: C4 | None = Field(None, description="C4's rules for lines and documents")
    fineweb: FineWeb | None = Field(None, description="FineWeb's rules for lines")
