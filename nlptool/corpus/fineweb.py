"""FineWeb's own rules (Penedo et al. 2024, section 3.6), with the decisions of datatrove's FineWebQualityFilter."""

from collections.abc import Iterator

from nlptool.corpus.document import Document, Dropped, Figure, Figures
from nlptool.corpus.filter_config import FineWeb
from nlptool.corpus.gopher import duplicates
from nlptool.corpus.words import SENTENCE_END, words_of


class Rules:
    """Drops documents by the ends, lengths and repetition of their lines."""

    name = "fineweb"

    def __init__(self, config: FineWeb) -> None:
        self._config = config

    def __call__(self, document: Document, seen: Figures) -> Document | Dropped:
        """Drop the document or return it unchanged."""
        return seen.first_failure(self._figures(document.text)) or document

    def _figures(self, text: str) -> Iterator[Figure]:
        config = self._config
        lines = [line for line in text.split("\n") if line.strip()]
        count = max(len(lines), 1)
        if config.min_punctuated_lines is not None:
            ended = sum(line[-1] in SENTENCE_END for line in lines) / count
            least = None if config.exclude_zero and not ended else config.min_punctuated_lines
            if least is not None:
                yield Figure(f"{self.name}.min_punctuated_lines", ended, least, None)
        if config.max_short_lines is not None:
            short = sum(len(line) <= config.short_line for line in lines) / count
            yield Figure(f"{self.name}.max_short_lines", short, None, config.max_short_lines)
        newlines = text.count("\n")
        if config.max_duplicate_chars is not None:
            repeated = duplicates(lines)[1] / max(len(text) - newlines, 1)
            yield Figure(f"{self.name}.max_duplicate_chars", repeated, None, config.max_duplicate_chars)
        if config.max_lines_per_word is not None:
            per_word = newlines / max(len(words_of(text)), 1)
            yield Figure(f"{self.name}.max_lines_per_word", per_word, None, config.max_lines_per_word)
