"""C4's rules (Raffel et al. 2020, section 2.2, and the released c4_utils.py): lines are removed, then documents.

Two departures: the list of bad words is not applied, and sentences are counted by their ends within each line, where
the released code uses NLTK's punkt.
"""

import re
from collections.abc import Iterator

from nlptool.corpus.document import Document, Dropped, Figure, Figures
from nlptool.corpus.filter_config import C4

CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
ENDS = (".", "?", "!", '"', "'")
SENTENCE = re.compile(r"[.?!。？！…]+[\"'”’)\]]*(?=\s)")  # noqa: RUF001
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


class Rules:
    """Removes lines, and drops documents that match a rule or have too few sentences left."""

    name = "c4"

    def __init__(self, config: C4) -> None:
        self._config = config

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """The document with the remaining lines, or the reason why it is dropped."""
        config, text = self._config, document.text
        lowered = text.lower()
        careful = _Line(config, lowered)
        kept = []
        for raw in text.splitlines():
            line = careful.kept(raw.strip())
            if line is not None:
                kept.append(line)
        if careful.dropped is not None:
            return seen.first_failure(iter([careful.dropped])) or document
        if dropped := seen.first_failure(self._figures(kept)):
            return dropped
        left = "\n".join(kept).strip()
        if not left:
            return Dropped(f"{self.name}.min_sentences", 0, config.min_sentences)
        return document if left == text else document._replace(text=left)

    def _figures(self, lines: list[str]) -> Iterator[Figure]:
        least = self._config.min_sentences
        if least is not None:
            yield Figure(f"{self.name}.min_sentences", sum(map(sentences, lines)), least, None)


class _Line:
    """The rules for one line; rules that no line of the text can break are skipped."""

    def __init__(self, config: C4, lowered: str) -> None:
        self._config = config
        self._citations = config.citations and "[" in lowered
        self._lorem = config.lorem_ipsum and "lorem ipsum" in lowered
        self._javascript = config.javascript and "javascript" in lowered
        self._curly = config.curly_bracket and "{" in lowered
        self._policy = config.policy and any(phrase in lowered for phrase in POLICY)
        self.dropped: Figure | None = None
        """Reason to drop the whole document, once a line gives one."""

    def kept(self, line: str) -> str | None:
        """The line to keep, possibly shortened; None to remove it."""
        config, words = self._config, line.split()
        if self.dropped or (
            len(line) > config.max_word_length and any(len(word) > config.max_word_length for word in words)
        ):
            return None
        if self._citations:
            line = CITATION.sub("", line)
        if config.terminal_punctuation and (not line.endswith(ENDS) or line.endswith("...")):
            return None
        if len(words) < config.min_words_per_line:
            return None
        lowered = line.lower() if self._lorem or self._javascript or self._policy else ""
        if self._lorem and "lorem ipsum" in lowered:
            self.dropped = Figure("c4.lorem_ipsum", 1, None, 0)
            return None
        if self._javascript and "javascript" in lowered:
            return None
        if self._curly and "{" in line:
            self.dropped = Figure("c4.curly_bracket", 1, None, 0)
            return None
        if self._policy and any(phrase in lowered for phrase in POLICY):
            return None
        return line


def sentences(line: str) -> int:
    """Number of sentences in a line, by their ends; at least one."""
    return 1 + len(SENTENCE.findall(line)) if line else 0
