"""Minimal pairs: does a model find the good sentence of each pair likelier (BLiMP, Warstadt et al. 2020)?"""

from collections.abc import Iterable

from nlptool.evaluation.metrics.confidence import Proportion
from nlptool.evaluation.scoring import Scorer


def accuracy(scorer: Scorer, pairs: Iterable[tuple[str, str]]) -> Proportion:
    """The share of pairs, a good sentence and a bad one, whose good sentence scores higher; chance is one half."""
    given = list(pairs)
    scores = scorer.scores([sentence for pair in given for sentence in pair])
    return Proportion(
        sum(good > bad for good, bad in zip(scores[::2], scores[1::2], strict=True)), len(given)
    )
