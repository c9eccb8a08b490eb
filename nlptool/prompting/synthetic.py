"""Generated rows: GPT-3's arithmetic and scrambled words (Brown et al. 2020, section 3.9).

Both have the columns of the hub's copies, `context` and `completion`.
"""

import random
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nlptool.text.tabular import Row

ROWS = 2000  # rows of each kind, as in the paper
PRACTICE = 200  # rows that few-shot examples are sampled from


def rows(rule: str, part: str, split: str, seed: int) -> Iterator[Row]:
    """The rows of a part. Those of `train` differ from those of `validation`."""
    rng = random.Random(f"{rule}/{part}/{split}/{seed}")
    practice = split == "train"
    if rule == "arithmetic":
        examples = (sum_of(part, rng) for _ in range(PRACTICE if practice else ROWS))
    else:
        mixed = list(words())
        random.Random(f"{rule}/{seed}").shuffle(
            mixed
        )  # the same shuffle for both splits, which share no word
        examples = (
            scrambled(part, word, rng) for word in (mixed[:PRACTICE] if practice else mixed[PRACTICE:])
        )
    for number, (context, completion) in enumerate(examples, start=1):
        yield Row(f"{rule}/{part}/{split}:{number}", {"context": context, "completion": completion})


@cache
def words() -> tuple[str, ...]:
    """2,000 English words of 4 to 15 letters: the most frequent ones of the State of the Union addresses, public
    domain.

    The paper has 10,000 words.
    """
    return tuple((Path(__file__).parent / "words.txt").read_text("utf8").split())


def sum_of(part: str, rng: random.Random) -> tuple[str, str]:
    """A question and its answer: 2da, two digits added; s subtracted, m multiplied; 1dc, three digits as 6+(4*8).

    Numbers are uniform from 0 to below 10^digits (section 3.9.1); the words are those of appendix G.
    """
    digits, kind = int(part[0]), part[1:]
    a, b, c = (rng.randrange(10**digits) for _ in range(3))
    if kind == "dc":
        first, second = rng.choice("+-*"), rng.choice("+-*")
        inner = {"+": b + c, "-": b - c, "*": b * c}[second]
        value = {"+": a + inner, "-": a - inner, "*": a * inner}[first]
        return f"Q: What is {a}{first}({b}{second}{c})?\nA:", f" {value}"
    value = {"da": a + b, "ds": a - b, "dm": a * b}[kind]
    word = {"da": "plus", "ds": "minus", "dm": "times"}[kind]
    return f"Q: What is {a} {word} {b}?\nA:", f" {value}"


def scrambled(part: str, word: str, rng: random.Random) -> tuple[str, str]:
    """A word with its letters out of order, and the word (section 3.9.2; the prompt is that of appendix G).

    cycle_letters: rotated; anagrams1: all but the first and last letter shuffled; anagrams2: all but the first two
    and last two; random_insertion: a punctuation mark or space after each letter but the last; reversed_words.
    """
    if part == "cycle_letters":
        at = rng.randrange(1, len(word))
        shown = word[at:] + word[:at]
    elif part in ("anagrams1", "anagrams2"):
        kept = int(part[-1])
        inner = list(word[kept : len(word) - kept])
        rng.shuffle(inner)
        shown = word[:kept] + "".join(inner) + word[len(word) - kept :]
    elif part == "random_insertion":
        shown = "".join(letter + rng.choice(string.punctuation + " ") for letter in word[:-1]) + word[-1]
    else:
        shown = word[::-1]
    return f"Please unscramble the letters into a word, and write that word:\n{shown} =", f" {word}"
