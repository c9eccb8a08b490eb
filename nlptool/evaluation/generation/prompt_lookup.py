"""Prompt lookup decoding (Saxena 2023): guesses of the next tokens, taken from the text itself.

A decoder on a CPU reads all of its weights for one token, and hardly more for a few. So the tokens that followed an
earlier occurrence of the last ones are read along with the last one: where the model would have chosen the same,
they need not be read again. This changes the number of steps, not the chosen tokens (Leviathan et al. 2023 guess
with a smaller model). Texts that repeat or quote themselves gain most.
"""

from collections.abc import Sequence

TOGETHER = 32  # most tokens read in a step, over all rows
MOST = 16  # guesses of one row, if all were right
LONG, SHORT = 3, 2  # length of the match before the guesses
GIVING_UP = 0.2  # below this share of right guesses only LONG matches are tried
STEP = 0.25  # weight of the last guesses in that share


class PromptLookup:
    """Guesses for one text, which grows."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.right = 0.5
        """Moving average of the share of right guesses."""
        self._behind: dict[tuple[int, ...], int] = {}
        self._read = 0

    def next(self, most: int) -> list[int]:
        """Up to `most` tokens that may follow."""
        self._learn()
        length = round(min(most, MOST) * self.right) or 1
        for size in (LONG, SHORT) if self.right >= GIVING_UP else (LONG,):
            at = self._behind.get(tuple(self.ids[-size:])) if most else None
            if at is not None:
                return list(self.ids[at : at + length])
        return []

    def observe(self, guessed: int, right: int) -> None:
        """Record that `right` of `tried` guesses were right."""
        if guessed:
            self.right += STEP * (right / guessed - self.right)

    def _learn(self) -> None:
        """Index the last occurrence of each run of tokens, except the one at the end."""
        for end in range(max(self._read, SHORT), len(self.ids)):
            for size in (LONG, SHORT):
                if end >= size:
                    self._behind[tuple(self.ids[end - size : end])] = end
        self._read = max(self._read, len(self.ids))


def room(rows: int) -> int:
    """Guesses for each of this many rows."""
    return min(MOST, max(0, TOGETHER // rows - 1))
