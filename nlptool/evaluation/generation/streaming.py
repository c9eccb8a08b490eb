"""Streaming detokenization: never a partial character, and nothing of a stop string or after it."""

from collections.abc import Sequence

from nlptool.text.tokenizer import Tokenizer

BROKEN = "\N{REPLACEMENT CHARACTER}"  # bytes that are no whole character decode to this


class DetokenizeStream:
    """The text of one continuation, in pieces, each as early as it is certain.

    before: the last token of the prompt; where tokens are pieces of words, it decides whether a space comes between.

    Special tokens have no text, as in transformers' pipeline; one whose name is a stop string ends the text.

    Held back: bytes of a possibly incomplete character, such as a Hangul syllable of three bytes in two tokens, and
    a possible beginning of a stop string. A stop string is found wherever tokens begin and end.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = (), before: Sequence[int] = ()) -> None:
        if not all(stop):
            raise ValueError("a stop string has no character")
        self.tokenizer, self.stop = tokenizer, stop
        self.ids: list[int] = [] if tokenizer.byte_level else list(before)
        self._ends = {number for number, name in tokenizer.tokens.items() if name in stop}
        self._before = len(self._whole())
        self.text = ""
        """The text returned so far."""
        self.stopped = False
        """Whether a stop string was found; then no more text follows."""

    def add(self, token: int) -> str:
        """Add a token; returns the text that has become certain, often empty."""
        if self.stopped:
            return ""
        if token in self._ends:
            piece = self.rest()
            self.stopped = True
            return piece
        self.ids.append(token)
        text = self._decoded()
        found = [at for stop in self.stop if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._give(text[: min(found)])
        certain = text.rstrip(BROKEN)
        return self._give(certain[: len(certain) - self._held(certain)])

    def rest(self) -> str:
        """The text held back, after the last token."""
        return "" if self.stopped else self._give(self._decoded())

    def _decoded(self) -> str:
        return self._whole()[self._before :]

    def _whole(self) -> str:
        return self.tokenizer.decode(self.ids, skip_special_tokens=True)

    def _give(self, text: str) -> str:
        piece = text[len(self.text) :]
        self.text += piece
        return piece

    def _held(self, text: str) -> int:
        """Number of characters at the end of the text that may begin a stop string."""
        return max(
            (n for stop in self.stop for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0
        )
