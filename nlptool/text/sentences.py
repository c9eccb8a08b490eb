"""Sentence segmentation that loses no character.

The rules are sentencex's: on English and Korean as good as slower segmenters and about a hundred times faster
(benchmarks/REPORT-sentences.md). This module adds: every character is kept, work on very long lines is bounded, and
boundaries that would change GPT-2's tokens are moved or rejected.
"""

import re
from collections.abc import Callable, Iterable, Iterator

import sentencex

from nlptool.text.bounded_tokenizer import is_panic, quiet
from nlptool.text.config import Sentences

BLOCK = 1 << 16  # characters given to the rules at once; a line of 50 MB is split into such blocks
LONG = 400  # characters; a longer sentence with quotation marks is split again, see _inside

WHITE = (  # Unicode White_Space, as for tokenizers: str.isspace has U+001C to U+001F in addition
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
VISIBLE = re.compile(r"\S")
PARAGRAPH = re.compile(r"\n[^\S\n]*\n")
OPENING = "\"'“‘«「『(["  # noqa: RUF001
ENDERS = ".!?…。！？"  # noqa: RUF001
QUOTES = "\"'“”‘’«»「」『』"  # noqa: RUF001
CLOSED = re.compile(rf"(?<![.!?…])([.!?…]+)([{QUOTES})]+)(?=\s)")
HIDDEN = str.maketrans(dict.fromkeys(QUOTES, "X"))
PLAIN = str.maketrans(dict.fromkeys([*WHITE, *"\x1c\x1d\x1e\x1f"], " ") | {"\n": "\n"})


def segmenter(config: Sentences) -> Callable[[str], list[str]]:
    """A function from a text to its sentences, with `"".join(sentences) == text`.

    The white space before a sentence belongs to it, and that at the end of the text to the last one; so no sentence
    is blank unless the text is. A boundary lies before white space, or at a full stop between letters of a script
    without capitals (Korean often lacks the space); so a byte-level tokenizer that splits texts like GPT-2's gives
    the same ids sentence by sentence. Other tokenizers may merge across a boundary; text/bulk_encoder encodes whole
    documents for them.
    """
    if config.split == "none":
        return lambda text: [text] if text else []
    if config.split == "line":
        return lambda text: _cut(text, (end.end() for end in re.finditer("\n", text)))
    return lambda text: _cut(text, _proposals(text, config.language))


def _cut(text: str, proposals: Iterable[int]) -> list[str]:
    """The spans between the proposals at which a sentence can start."""
    spans: list[str] = []
    start = visible = 0
    for proposal in proposals:
        if visible <= start:
            found = VISIBLE.search(text, start)
            if found is None:
                break
            visible = found.start()
        if proposal > visible and (end := _end(text, visible, proposal)) > visible:
            spans.append(text[start:end])
            start = end
    rest = text[start:]
    if spans and not rest.strip():
        spans[-1] += rest
    elif rest:
        spans.append(rest)
    return spans


def _end(text: str, visible: int, proposal: int) -> int:
    """Where the sentence around text[visible] ends if another starts at `proposal`, else `visible`."""
    if proposal >= len(text):
        return visible
    before, after = text[proposal - 1], text[proposal]
    if before in OPENING and after not in WHITE and text[proposal - 2 : proposal - 1] in WHITE:
        proposal -= 1  # an opening mark that the rules left with the sentence before
    elif before not in WHITE and after not in WHITE:
        word = text[max(visible, proposal - 4) : proposal].rstrip(ENDERS)[-1:]
        unspaced = before in ENDERS and _uncased(word) and _uncased(after)
        return proposal if unspaced else visible
    return visible + len(text[visible:proposal].rstrip(WHITE))


def _uncased(letter: str) -> bool:
    return letter.isalpha() and letter.lower() == letter.upper()


def _proposals(text: str, language: str) -> Iterator[int]:
    """Starts of sentences by the rules of the language, paragraph by paragraph."""
    start = 0
    for paragraph in PARAGRAPH.finditer(text):
        yield from _rules(text, start, paragraph.start(), language)
        yield paragraph.end()
        start = paragraph.end()
    yield from _rules(text, start, len(text), language)


def _rules(text: str, start: int, stop: int, language: str) -> Iterator[int]:
    """Block by block, so that memory and time stay linear in the length of a line."""
    while start < stop:
        block = text[start : min(start + BLOCK, stop)]
        parts = _segment(language, block)
        whole = start + len(block) == stop
        if not whole:  # the last part may continue in the next block
            parts = parts[:-1] or [block[: block.rfind(" ") + 1] or block]
        for part in parts:
            if len(part) > LONG:
                yield from _inside(part, start, language)
            start += len(part)
            yield start
        if whole:
            return


def _segment(language: str, text: str) -> list[str]:
    """The library's sentences, by their lengths: it is given spaces for all white space.

    It fails on a capital followed by multi-byte white space and a full stop ("B\xa0."). If it fails on other text,
    that text gets no boundaries.
    """
    try:
        with quiet():
            parts: list[str] = sentencex.segment(language, text.translate(PLAIN))
    except BaseException as error:
        if not is_panic(error):
            raise
        return [text]
    return parts


def _inside(part: str, start: int, language: str) -> Iterator[int]:
    """Boundaries within quotations: the rules have none, so that a speech or an apostrophe may swallow pages."""
    shown = CLOSED.sub(r"\2\1", part).translate(HIDDEN)
    for inner in _segment(language, shown)[:-1]:
        start += len(inner)
        yield start
