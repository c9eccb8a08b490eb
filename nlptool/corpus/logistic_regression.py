"""Logistic regression on sparse rows, by L-BFGS in numpy; bitwise reproducible."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MEMORY = 10  # pairs of steps and gradients that approximate the curvature
ITERATIONS = 200
TOLERANCE = 1e-6  # tolerance for the gradient's largest component, divided by the number of rows
DECREASE, SHRINK = 1e-4, 0.5  # of the line search (Armijo)


class Rows(NamedTuple):
    """A sparse matrix by rows, end to end: every row has a value, and no column twice."""

    columns: NDArray[np.int64]
    values: Floats
    starts: NDArray[np.int64]
    """Offset of each row in the other two."""

    def times(self, weights: Floats) -> Floats:
        """Product with a vector of columns: a number for each row."""
        found: Floats = np.add.reduceat(self.values * weights[self.columns], self.starts)
        return found

    def transposed_times(self, numbers: Floats, width: int) -> Floats:
        """Product of the transposed matrix with a vector of rows: a number for each column."""
        lengths = np.diff(self.starts, append=len(self.columns))
        return np.bincount(self.columns, self.values * np.repeat(numbers, lengths), width).astype(np.float64)


def fit(rows: Rows, labels: NDArray[np.bool_], width: int) -> tuple[Floats, float]:
    """Weights [width] and intercept that minimise |weights|^2 / 2 plus the sum of the rows' losses.

    Like scikit-learn's LogisticRegression with C=1, but each class has the same weight, however many rows it has.
    """
    signs = np.where(labels, 1.0, -1.0)
    share = len(labels) / 2 / np.where(labels, labels.sum(), (~labels).sum())

    def loss(point: Floats) -> tuple[float, Floats]:
        margins = signs * (rows.times(point[:-1]) + point[-1])
        slopes = -share * signs / (1 + np.exp(np.minimum(margins, 700)))
        losses = share * np.logaddexp(0, -margins)
        gradient = np.append(point[:-1] + rows.transposed_times(slopes, width), slopes.sum())
        return float((point[:-1] ** 2).sum() / 2 + losses.sum()), gradient

    found = minimise(loss, np.zeros(width + 1), TOLERANCE * len(labels))
    return found[:-1], float(found[-1])


def minimise(loss: Callable[[Floats], tuple[float, Floats]], start: Floats, tolerance: float) -> Floats:
    """Minimise a smooth convex function by L-BFGS (Nocedal & Wright 2006, algorithm 7.5)."""
    point = start
    value, gradient = loss(point)
    steps: list[tuple[Floats, Floats, float]] = []
    for _ in range(ITERATIONS):
        if np.abs(gradient).max() <= tolerance:
            break
        direction = -_inverse_hessian_times(steps, gradient)
        slope = float((direction * gradient).sum())
        length = 1.0 if steps else min(1.0, 1 / float(np.abs(gradient).sum()))
        while True:
            tried = point + length * direction
            tried_value, tried_gradient = loss(tried)
            if tried_value <= value + DECREASE * length * slope:
                break
            length *= SHRINK
            if length < 1e-12:  # no better point in double precision
                return point
        step, change = tried - point, tried_gradient - gradient
        if (curvature := float((step * change).sum())) > 0:
            steps = [*steps[-MEMORY + 1 :], (step, change, curvature)]
        point, value, gradient = tried, tried_value, tried_gradient
    return point


def _inverse_hessian_times(steps: list[tuple[Floats, Floats, float]], gradient: Floats) -> Floats:
    found = gradient
    factors = []
    for step, change, curvature in reversed(steps):
        factors.append(float((step * found).sum()) / curvature)
        found = found - factors[-1] * change
    if steps:
        _, change, curvature = steps[-1]
        found = found * (curvature / float((change**2).sum()))
    for (step, change, curvature), factor in zip(steps, reversed(factors), strict=True):
        found = found + step * (factor - float((change * found).sum()) / curvature)
    return found
