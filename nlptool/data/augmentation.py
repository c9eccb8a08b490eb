"""TinyBERT's data augmentation: copies of an example in which likely words stand in place of some others.

Algorithm 1 of Jiao et al. 2020: each word of a text is replaced, with some probability, by one of its candidates,
chosen by nlptool.evaluation.replacement_candidates.
A word is found by its place in the text, so that the text around it stays, in any language that writes spaces.
Copy c of row r is a function of (seed, r, c). No torch here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nlptool.data.random_streams import RandomStreams
from nlptool.text.tabular import Example

WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['\u2019][^\W\d_]+)*(?!\w)")

Candidates = Sequence[Sequence[str]]
"""For each word of a text, in its order, what may stand in its place; none: the word stays."""


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end: letters, also with an apostrophe between them; of Korean, eojeols
    without their punctuation. What has a digit in it is none."""
    return [match.span() for match in WORD.finditer(text)]


def augmented_copies(
    example: Example,
    candidates: Mapping[str, Candidates],
    number: int,
    probability: float,
    seed: int,
    row: int,
) -> Iterator[Example]:
    """The example, then up to `number` copies for each of its texts, those that equal no other one.

    A copy has words of one text replaced; the others are as they were. So it is in TinyBERT's code, but that its
    second sentences are replaced beside the last copy of the first one, not beside that itself. A text that several
    choices share is the same for all of them. Whether the label is still true nobody knows: copies are for a teacher
    to label. candidates: by text.
    """
    seen = {example.inputs}
    yield example
    for stream, text in enumerate(dict.fromkeys(chain.from_iterable(example.inputs))):
        found = word_spans(text)
        draws = RandomStreams(seed, row).uniform(stream, number, 2 * len(found))
        for replaced, chosen in zip(*np.split(draws, 2, axis=1), strict=True):
            new = _replaced(text, found, candidates[text], replaced < probability, chosen)
            inputs = tuple(tuple(new if old == text else old for old in read) for read in example.inputs)
            if inputs not in seen:
                seen.add(inputs)
                yield example._replace(inputs=inputs)


def _replaced(
    text: str,
    found: Sequence[tuple[int, int]],
    candidates: Candidates,
    replaced: NDArray[np.bool_],
    chosen: NDArray[np.float64],
) -> str:
    """The text with another word wherever `replaced` says so; `chosen`, in [0, 1), says which candidate."""
    parts, at = [], 0
    for (begin, end), offered, whether, which in zip(found, candidates, replaced, chosen, strict=True):
        word = offered[int(which * len(offered))] if whether and offered else text[begin:end]
        parts += [text[at:begin], word]
        at = end
    return "".join([*parts, text[at:]])
