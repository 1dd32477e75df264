"""What the predictions of a split are worth: exact counts and ratios, in NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.results import LISTED, ClassMetrics, SplitMetrics, wilson_interval
from tasks.quality.calibration import Reliability, cover

FLOOR = float(np.finfo(np.float32).tiny)
"""The smallest probability that a loss is taken of, 1.2e-38: no image costs more than 87.4 nats."""

PARTS = 2**32
"""
Losses are added up as whole numbers of so many parts of a nat: sums of floats would depend on how the rows are cut.

Rounding moves a loss by 1.2e-10 nats at most; the last bit of a float32 probability near 1 does by 6e-8. A batch of
24 million rows, each at the floor, still fits into an int64; the sum of the batches is Python's, without a limit.
"""

FIRST = 3
"""Rows whose labels and predictions are shown, as in the tutorial."""


@dataclass(frozen=True)
class Scores:
    """
    One prediction per row, in table order.

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


class Tally:
    """
    Adds up the scores of a split, batch by batch in table order; memory grows with the pairs of a true and a predicted
    class that occur, and not with all possible pairs; with rows only where they are `unseen`.

    The result is the same however the rows are cut into batches: all sums are of whole numbers.

    Args:
        samples: rows of the whole split; where its first half ends follows from them.
        unseen:  whether the model was not fitted to the rows, so that intervals mean something, and what is right of
                 the rest where the least sure images are left to a person.
    """

    def __init__(self, classes: Sequence[str], samples: int, *, unseen: bool = False) -> None:
        self._classes, self._samples, self._seen = classes, samples, 0
        self._pairs, self._counts = np.empty(0, np.int64), np.empty(0, np.int64)  # true class * classes + predicted
        self._right = [0, 0]  # in each half
        self._loss = 0  # in parts of a nat
        self._first: list[tuple[int, int]] = []  # label and prediction
        self._reliability, self._unseen = Reliability(), unseen
        self._probability, self._hits = list[npt.NDArray[np.float32]](), list[npt.NDArray[np.bool_]]()

    def add(self, scores: Scores) -> None:
        """Add the next rows."""
        pairs, counts = np.unique(scores.label * len(self._classes) + scores.predicted, return_counts=True)
        self._pairs, place = np.unique(np.concatenate([self._pairs, pairs]), return_inverse=True)
        before, self._counts = self._counts, np.zeros(len(self._pairs), np.int64)
        self._counts[place[: len(before)]] = before
        self._counts[place[len(before) :]] += counts
        right = scores.label == scores.predicted
        self._reliability.add(scores.probability, right)
        if self._unseen:
            self._probability.append(scores.probability.astype(np.float32))
            self._hits.append(right)
        half = max(self._samples // 2 - self._seen, 0)
        self._right[0] += int(right[:half].sum())
        self._right[1] += int(right[half:].sum())
        self._loss += int(np.rint(scores.loss * PARTS).astype(np.int64).sum())
        first = zip(scores.label[:FIRST].tolist(), scores.predicted[:FIRST].tolist(), strict=True)
        self._first = [*self._first, *first][:FIRST]
        self._seen += len(right)

    def measure(self) -> SplitMetrics:
        """Return the metrics of the split, once all its rows are added; its first half is the shorter one."""
        samples, (first, last) = self._samples, self._right
        true, predicted = np.divmod(self._pairs, len(self._classes))
        right = true == predicted
        support, guesses, hits = (
            _sums(label[which], self._counts[which], len(self._classes))
            for label, which in ((true, slice(None)), (predicted, slice(None)), (true, right))
        )
        precision, recall = _ratio(hits, guesses), _ratio(hits, support)
        # 2 p r / (p + r), in counts: defined, and 0, where p and r are.
        f1 = _ratio(2 * hits, support + guesses)
        half = samples // 2
        labels, predictions = zip(*self._first, strict=True)
        coverage = cover(np.concatenate(self._probability), np.concatenate(self._hits)) if self._unseen else ()
        return SplitMetrics(
            samples=samples,
            accuracy=(first + last) / samples,
            interval=self._interval((first + last) / samples, samples),
            calibration=self._reliability.measure(coverage),
            loss=self._loss / (PARTS * samples),
            classes=tuple(
                ClassMetrics(
                    name=name,
                    support=n,
                    precision=p,
                    recall=r,
                    f1=f,
                    interval=self._interval(r, n),
                )
                for name, n, p, r, f in zip(
                    self._classes, support.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), strict=True
                )
            ),
            confusion=self._confusion(true, predicted),
            halves=(first / max(half, 1), last / (samples - half)),
            first_labels=labels,
            first_predictions=predictions,
        )

    def _interval(self, share: float, images: int) -> tuple[float, float] | None:
        return wilson_interval(share, images) if images and self._unseen else None

    def _confusion(self, true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
        """Return the whole matrix, or of many classes the pairs that occur; see `schemas.results.SplitMetrics`."""
        classes = len(self._classes)
        if classes > LISTED:
            return tuple(zip(true.tolist(), predicted.tolist(), self._counts.tolist(), strict=True))
        matrix = np.zeros((classes, classes), np.int64)
        matrix[true, predicted] = self._counts
        return tuple(map(tuple, matrix.tolist()))


def _sums(label: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    sums = np.zeros(classes, np.int64)
    np.add.at(sums, label, counts)
    return sums


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
