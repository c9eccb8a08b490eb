"""TinyBERT's data augmentation: copies of an example in which some words are replaced by likely ones.

Algorithm 1 of Jiao et al. 2020: each word of a text is replaced, with some probability, by one of its candidates,
chosen by nlptool.evaluation.replacement_candidates.
A word is replaced in place, so the text around it stays, in any language that writes spaces. Copy c of row r is a
function of (seed, r, c). No torch here.
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
"""For each word of a text, in its order, its possible replacements; none: the word stays."""


def word_spans(text: str) -> list[tuple[int, int]]:
    """Bounds of the words of a text: letters and inner apostrophes; in Korean, eojeols without punctuation.

    A word with a digit is skipped.
    """
    return [match.span() for match in WORD.finditer(text)]


def augmented_copies(
    example: Example,
    candidates: Mapping[str, Candidates],
    number: int,
    probability: float,
    seed: int,
    row: int,
) -> Iterator[Example]:
    """The example, then up to `number` distinct copies for each of its texts.

    A copy has words of one text replaced; the other texts are unchanged. TinyBERT's code, in contrast, replaces
    second sentences beside the last copy of the first one. A text shared by several choices stays the same for all
    of them. Copies have no label: a teacher labels them. candidates: by text.
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
    """The text with other words where `replaced` is true; `chosen`, in [0, 1), selects the candidate."""
    parts, at = [], 0
    for (begin, end), offered, whether, which in zip(found, candidates, replaced, chosen, strict=True):
        word = offered[int(which * len(offered))] if whether and offered else text[begin:end]
        parts += [text[at:begin], word]
        at = end
    return "".join([*parts, text[at:]])
