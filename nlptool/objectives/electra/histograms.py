"""Figures of binary classification (ROC AUC, precision, recall) from histograms, which batches and ranks add up."""

# N scores, S bins

from torch import Tensor, bincount, cat

BINS = 4096  # bins around 0; scores beyond them count in the outermost ones
WIDTH = 0.01


def histograms(logits_N: Tensor, positive_N: Tensor, counted_N: Tensor | None = None) -> Tensor:
    """[2, S]: scores of the negatives and of the positives, by bin.

    counted_N: bool, which scores count; None: all.
    """
    bin_N = (logits_N.float() / WIDTH).floor().long().add_(BINS // 2).clamp_(0, BINS - 1)
    place_N = bin_N + BINS * positive_N.long()
    weights_N = None if counted_N is None else counted_N.double().flatten()
    return bincount(place_N.flatten(), weights_N, minlength=2 * BINS).view(2, BINS)


def area(scores_2S: Tensor) -> float:
    """Area under the ROC curve: probability that a positive scores above a negative, ties counting half.

    Exact except that pairs in the same bin count as ties. 0.5 if one of the classes is empty.
    """
    negative_S, positive_S = scores_2S.double()
    pairs = negative_S.sum() * positive_S.sum()
    if not pairs:
        return 0.5
    below_S = negative_S.cumsum(0) - negative_S / 2
    return float((positive_S * below_S).sum() / pairs)


def decisions(scores_2S: Tensor) -> dict[str, float]:
    """Figures of the decision "positive above 0": accuracy, precision and recall of the positives.

    majority is the accuracy of always predicting the more frequent class. Undefined shares are 0.
    """
    totals = cat((scores_2S[:, : BINS // 2].sum(1), scores_2S[:, BINS // 2 :].sum(1))).tolist()
    true_negative, false_negative, false_positive, true_positive = totals
    positives, all_ = false_negative + true_positive, sum(totals)
    return {
        "accuracy": (true_negative + true_positive) / max(all_, 1),
        "majority": max(positives, all_ - positives) / max(all_, 1),
        "precision": true_positive / max(false_positive + true_positive, 1),
        "recall": true_positive / max(positives, 1),
    }
