"""Shares of sources in the corpus: documents are removed by the hash of their text until each source has its share.

A source keeps the documents with the lowest hashes, so the result depends neither on the order of the input nor on
the number of workers, and a smaller corpus of the same seed is a subset of a larger one.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlptool.corpus.config import Mix
from nlptool.corpus.duplicates import Keys
from nlptool.errors import DataError
from nlptool.text.word_hashes import Hashes

RULE = "mix.weights"


class Mixture(NamedTuple):
    """The result of mixing."""

    left: NDArray[np.bool_]
    """Documents that stay, among all that were numbered; duplicates do not."""
    sources: dict[str, dict[str, Any]]
    """For each source its characters before and after, its share, and the requested share."""


def mixed(keys: Keys, sources: Sequence[str], left: NDArray[np.bool_], config: Mix, seed: int) -> Mixture:
    """Choose among the documents of `left`. sources: the source of each part of the keys.

    Raises DataError where a source has none.
    """
    sizes, draws = keys.row(2).astype(np.int64), _draws(keys.row(0), seed)
    of = {name: np.zeros(len(keys), bool) for name in config.weights}
    for name, start, size in zip(sources, keys.starts.tolist(), keys.sizes, strict=False):
        if size:
            of[name][start : start + size] = True
    there = {name: int(sizes[left & mine].sum()) for name, mine in of.items()}
    for name, characters in there.items():
        if not characters:
            raise DataError(
                f"mix: no document of sources.{name} is left, so no shares can be kept",
                hint=f"look at what dropped them, or leave the source out: '~sources.{name}' '~mix.weights.{name}'",
            )
    total = sum(config.weights.values())
    shares = {name: weight / total for name, weight in config.weights.items()}
    size = min(there[name] / share for name, share in shares.items())
    if config.max_chars is not None:
        size = min(size, config.max_chars)
    found = np.zeros(len(keys), bool)
    for name, mine in of.items():
        places = np.flatnonzero(left & mine)
        places = places[np.lexsort((places, draws[places]))]
        found[places[np.cumsum(sizes[places]) <= round(size * shares[name])]] = True
    kept = {name: int(sizes[found & mine].sum()) for name, mine in of.items()}
    everything = max(sum(kept.values()), 1)
    return Mixture(
        found,
        {
            name: {
                "characters": there[name],
                "kept_characters": kept[name],
                "share": kept[name] / everything,
                "wanted_share": shares[name],
            }
            for name in config.weights
        },
    )


def _draws(digests: Hashes, seed: int) -> Hashes:
    """A number for each text, from its digest and the seed (the finaliser of splitmix64)."""
    found = digests + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % 2**64)
    found ^= found >> np.uint64(30)
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    mixed_up: Hashes = found ^ (found >> np.uint64(31))
    return mixed_up
