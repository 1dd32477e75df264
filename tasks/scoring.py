"""What the predictions of a split are worth: exact counts and ratios, in NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.metrics import ClassMetrics, SplitMetrics

FLOOR = float(np.finfo(np.float32).tiny)
"""The smallest probability that a loss is taken of, 1.2e-38: no image costs more than 87.4 nats."""

FIRST = 3
"""Rows whose labels and predictions are shown, as in the tutorial."""


@dataclass(frozen=True)
class Scores:
    """
    A prediction a row, in table order.

    Args:
        label:       int64 (n,), the true class.
        predicted:   int64 (n,), the most probable class; the first of equals.
        probability: float64 (n,), of the predicted class.
        loss:        float64 (n,), cross-entropy of the true class, in nats.
    """

    label: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]


def score(probabilities: npt.NDArray[np.float32], label: npt.NDArray[np.integer[Any]]) -> Scores:
    """
    Score one batch.

    Args:
        probabilities: float32 (n, classes), each row sums to 1.
        label:         (n,), 0 to classes - 1.
    """
    rows = np.arange(len(label))
    predicted = probabilities.argmax(axis=1)
    true = probabilities[rows, label].astype(np.float64)
    return Scores(
        label=label.astype(np.int64),
        predicted=predicted,
        probability=probabilities[rows, predicted].astype(np.float64),
        loss=-np.log(np.maximum(true, FLOOR)),
    )


def concatenate(batches: Sequence[Scores]) -> Scores:
    """Join the scores of consecutive batches."""
    return Scores(
        label=np.concatenate([batch.label for batch in batches]),
        predicted=np.concatenate([batch.predicted for batch in batches]),
        probability=np.concatenate([batch.probability for batch in batches]),
        loss=np.concatenate([batch.loss for batch in batches]),
    )


def measure(scores: Scores, classes: Sequence[str]) -> SplitMetrics:
    """Return the metrics of a split from the scores of all its rows; the first half is the shorter one."""
    count = len(classes)
    samples, half = len(scores.label), len(scores.label) // 2
    confusion = np.bincount(scores.label * count + scores.predicted, minlength=count * count).reshape(count, count)
    hits, support, guesses = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = _ratio(hits, guesses), _ratio(hits, support)
    # 2 p r / (p + r), in counts: defined, and 0, where p and r are.
    f1 = _ratio(2 * hits, support + guesses)
    right = scores.label == scores.predicted
    return SplitMetrics(
        samples=samples,
        accuracy=float(right.mean()),
        loss=float(scores.loss.mean()),
        classes=tuple(
            ClassMetrics(name=name, support=n, precision=p, recall=r, f1=f)
            for name, n, p, r, f in zip(
                classes, support.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), strict=True
            )
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        halves=(_share(right[:half]), _share(right[half:])),
        first_labels=tuple(scores.label[:FIRST].tolist()),
        first_predictions=tuple(scores.predicted[:FIRST].tolist()),
    )


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _share(right: npt.NDArray[np.bool_]) -> float:
    return float(right.sum() / max(len(right), 1))
