"""What a text may go on with, guessed from the text itself.

A decoder on a CPU reads all of its weights for one token and hardly more for a few. So the tokens that stood behind an
earlier occurrence of the last ones are read along with the last one: where the model would have chosen the same, they
need not be read again. This changes how many steps are taken, not which tokens are chosen ("prompt lookup decoding",
Saxena 2023; Leviathan et al. 2023 guess by a smaller model). Texts that repeat themselves, or quote, gain most.
"""

from collections.abc import Sequence

TOGETHER = 32  # tokens that a step reads at most, of all rows
MOST = 16  # guesses of one row, were all of them right
LONG, SHORT = 3, 2  # tokens in a row that must have stood there before
GIVING_UP = 0.2  # share of guesses that are right below which only LONG matches are tried
STEP = 0.25  # weight of the last guesses in that share


class PromptLookup:
    """Drafts for one text, which grows."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids
        self.right = 0.5
        """Share of guesses that are right, the last ones above all."""
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
        """So many of so many guesses were right."""
        if guessed:
            self.right += STEP * (right / guessed - self.right)

    def _learn(self) -> None:
        """Where each run of tokens stood last, but for the one at the end."""
        for end in range(max(self._read, SHORT), len(self.ids)):
            for size in (LONG, SHORT):
                if end >= size:
                    self._behind[tuple(self.ids[end - size : end])] = end
        self._read = max(self._read, len(self.ids))


def room(rows: int) -> int:
    """Guesses of each of so many rows."""
    return min(MOST, max(0, TOGETHER // rows - 1))
