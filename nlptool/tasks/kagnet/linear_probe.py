"""A baseline without a graph: a linear probe on the statement vectors."""

# N rows, C choices, D width

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Factors on the squared weights, beside the mean loss; vectors are normalised to variance 1."""
HELD_OUT = 4  # one in this many training rows selects the penalty
ITERATIONS = 300


def chosen(train: Floats, labels: NDArray[np.float64], rows: Floats, choices: int) -> NDArray[np.float64]:
    """The predicted choice of each row, [N], by one weight vector fitted to the training rows.

    train, rows: [N * C, D]. A softmax over a row's choices, as in multiple choice. The problem is convex, so no
    random numbers are needed; the penalty is selected on held-out rows.
    """
    mean, scale = train.mean(0), train.std(0) + 1e-6
    train_NCD, rows_NCD = (
        ((some - mean) / scale).reshape(-1, choices, some.shape[1]) for some in (train, rows)
    )
    right_N = labels.astype(np.int64)
    apart_N = np.arange(len(right_N)) % HELD_OUT == HELD_OUT - 1

    def held_out(penalty: float) -> float:
        if not apart_N.any():
            return -penalty
        weight_D = _fitted(train_NCD[~apart_N], right_N[~apart_N], penalty)
        return _loss(train_NCD[apart_N] @ weight_D, right_N[apart_N])

    weight_D = _fitted(train_NCD, right_N, min(PENALTIES, key=held_out))
    return np.asarray((rows_NCD @ weight_D).argmax(1), np.float64)


def _fitted(vectors_NCD: Floats, right_N: Labels, penalty: float) -> Floats:
    """Minimise mean cross-entropy plus penalty by Nesterov's accelerated gradient."""
    count, choices, width = vectors_NCD.shape
    flat_MD = vectors_NCD.reshape(-1, width)
    direction_D = np.ones(width, np.float32)
    for _ in range(20):  # the largest eigenvalue, which bounds the curvature
        direction_D /= np.linalg.norm(direction_D) + 1e-12
        direction_D = flat_MD.T @ (flat_MD @ direction_D) / count
    step = 1 / (0.5 * float(np.linalg.norm(direction_D)) + 2 * penalty)
    target_NC = np.eye(choices, dtype=np.float32)[right_N]
    weight_D = ahead_D = np.zeros(width, np.float32)
    for number in range(ITERATIONS):
        error_NC = _shares(vectors_NCD @ ahead_D) - target_NC
        gradient_D = flat_MD.T @ error_NC.reshape(-1) / count + 2 * penalty * ahead_D
        moved_D = (ahead_D - step * gradient_D).astype(np.float32)
        ahead_D = moved_D + np.float32(number / (number + 3)) * (moved_D - weight_D)
        weight_D = moved_D
    return weight_D


def _shares(logits_NC: Floats) -> Floats:
    powers_NC = np.exp(logits_NC - logits_NC.max(1, keepdims=True))
    return np.asarray(powers_NC / powers_NC.sum(1, keepdims=True), np.float32)


def _loss(logits_NC: Floats, right_N: Labels) -> float:
    shares_NC = _shares(logits_NC)
    return float(-np.log(np.maximum(shares_NC[np.arange(len(right_N)), right_N], 1e-12)).mean())
