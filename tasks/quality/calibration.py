"""
Whether probabilities are right as often as they say, and the one number that makes them so.

Sources: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.calibration import BINS, LEFT_OUT, Calibration, Coverage, ReliabilityBin
from schemas.results import wilson_interval

PARTS = 2**32
"""
Probabilities are added up as whole numbers of so many parts of 1: sums do not depend on how the rows are cut.

An int64 holds two billion rows of one batch; the sum of the batches is Python's, without a limit.
"""
SHARPEST, FLATTEST = 0.1, 10.0
"""Temperatures between which one is looked for."""
HALVINGS = 40
DIGITS = 4
"""Of a temperature behind the point: further ones depend on the machine."""
BLOCK_VALUES = 2**20
"""Logits that are weighed at once."""


class Reliability:
    """Adds up probabilities and right predictions, batch by batch; memory does not grow with rows."""

    def __init__(self) -> None:
        self._images, self._right, self._parts, self._spread = ([0] * BINS for _ in range(4))

    def add(self, probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> None:
        """
        Add the next rows.

        Args: probability: float64 (n,), of the predicted class, in [0, 1].  right: bool (n,).
        """
        place = np.clip(np.ceil(probability * BINS).astype(np.int64) - 1, 0, BINS - 1)
        parts = np.rint(probability * PARTS).astype(np.int64)
        sums, spread = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        np.add.at(sums, place, parts)
        np.add.at(spread, place, np.rint(probability * (1 - probability) * PARTS).astype(np.int64))
        images, hits = np.bincount(place, minlength=BINS), np.bincount(place[right], minlength=BINS)
        for at in range(BINS):
            self._images[at] += int(images[at])
            self._right[at] += int(hits[at])
            self._parts[at] += int(sums[at])
            self._spread[at] += int(spread[at])

    def measure(self, coverage: Sequence[Coverage] = ()) -> Calibration:
        """Return the calibration, of at least one row."""
        distance = sum(
            abs(parts / PARTS - right) for parts, right in zip(self._parts, self._right, strict=True)
        )  # of means, each times its images
        # If each is right as often as it says, a bin's distance is that of tossed coins from their mean: about normal.
        chance = sum(math.sqrt(2 / math.pi * spread / PARTS) for spread in self._spread)
        return Calibration(
            error=distance / sum(self._images),
            chance=chance / sum(self._images),
            bins=tuple(
                ReliabilityBin(
                    lower=at / BINS,
                    upper=(at + 1) / BINS,
                    images=images,
                    confidence=self._parts[at] / (PARTS * images) if images else None,
                    accuracy=self._right[at] / images if images else None,
                )
                for at, images in enumerate(self._images)
            ),
            coverage=tuple(coverage),
        )


def cover(probability: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> tuple[Coverage, ...]:
    """
    Return what is right of the rest where the least sure images are left to a person.

    Where a threshold falls between equal probabilities, all of them count as sure: fewer are left out then.

    Args: probability: float32 (n,), of the predicted class, at least one.  right: bool (n,).
    """
    order = np.argsort(probability, kind="stable")
    ascending, hits = probability[order], np.cumsum(right[order][::-1])[::-1]
    rows, seen = list[Coverage](), set[float]()
    for share in LEFT_OUT:
        threshold = ascending[int(share * len(ascending))]
        first = int(np.searchsorted(ascending, threshold, side="left"))
        kept = len(ascending) - first
        if float(threshold) in seen:
            continue
        seen.add(float(threshold))
        accuracy = int(hits[first]) / kept
        rows.append(
            Coverage(
                asked=share,
                left_out=first / len(ascending),
                threshold=float(threshold) if share else 0.0,
                images=kept,
                accuracy=accuracy,
                interval=wilson_interval(accuracy, kept),
            )
        )
    return tuple(rows)


def fit_temperature(logits: npt.NDArray[np.float32], label: npt.NDArray[np.integer]) -> float | None:
    """
    Return the temperature: what logits are divided by so that their softmax fits the labels best, by cross-entropy.

    The cross-entropy is convex in 1 / temperature; the zero of its slope is found by halving.

    Args:    logits: float32 (n, classes), at least one row.  label: (n,), class index.
    Returns: 0.1 to 10, to four digits behind the point; None where none of these is best: every row is right, or the
             logits say nothing.
    """
    low, high = 1 / FLATTEST, 1 / SHARPEST
    if _slope(logits, label, high) <= 0 or _slope(logits, label, low) >= 0:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _slope(logits, label, middle) < 0:
            low = middle
        else:
            high = middle
    return round(2 / (low + high), DIGITS)


def _slope(logits: npt.NDArray[np.float32], label: npt.NDArray[np.integer], factor: float) -> float:
    """Return the slope of the mean cross-entropy along the factor: the mean of E[z] (under the softmax) - z[label]."""
    step, total = max(1, BLOCK_VALUES // logits.shape[1]), 0.0
    for start in range(0, len(logits), step):
        block = logits[start : start + step].astype(np.float64)
        block -= block.max(axis=1, keepdims=True)
        weights = np.exp(factor * block)
        expected = (weights * block).sum(axis=1) / weights.sum(axis=1)
        total += float((expected - block[np.arange(len(block)), label[start : start + step]]).sum())
    return total / len(logits)
