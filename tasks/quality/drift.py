"""How unlike the train split another split is: one profile beside another."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.results import FEATURES, Drift, Feature
from schemas.scoring import DriftFeature, Shift
from tasks.quality.profile import Profiles, read_column, read_parts

FEWEST = 5
"""Images that a bin has to expect, for its share in the index to be as of chi-squared: the usual rule."""


def measure_drift(train: Profiles, other: Profiles, classes: int) -> tuple[Drift, ...]:
    """
    Compare two profiles by class, mean intensity and ink.

    The bins are each class, and the tenths of the train images by mean and by ink.
    """
    drifts = []
    for feature in FEATURES:
        known = read_column(train, feature)
        known.sort()
        edges = np.arange(1, classes) if feature == "label" else deciles(known)
        expected, actual = histogram(known, edges), sum_histograms(read_parts(other, feature), edges)
        drifts.append(stability(feature, expected, actual))
    return tuple(drifts)


def deciles(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the different ones of the nine values that cut `values`, which are moved about, into tenths, ascending."""
    values.sort()  # beforehand: np.quantile alone takes four times as long
    return np.unique(np.quantile(values, np.arange(1, 10) / 10, overwrite_input=True))


def histogram(values: npt.NDArray[Any], edges: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the values below, between and from the last of k ascending edges on; int64 (k + 1,)."""
    below = np.searchsorted(np.sort(values), edges)
    return np.diff(below, prepend=0, append=len(values))


def sum_histograms(parts: Iterable[npt.NDArray[Any]], edges: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count all values of some parts; see `histogram`."""
    return sum((histogram(part, edges) for part in parts), np.zeros(len(edges) + 1, np.int64))


def stability(feature: Feature, expected: npt.NDArray[np.int64], actual: npt.NDArray[np.int64]) -> Drift:
    """
    Compare two histograms over the same k bins by the population stability index.

    PSI = sum over bins of (a - e) ln(a / e), with e and a the shares of the expected and the actual sample
    (N. Siddiqi, Credit Risk Scorecards, 2006); half a count is added to each bin, so that an empty one counts
    without being infinite. For samples of n and m from one population it is (1/n + 1/m) times a chi-squared
    variable of k - 1 degrees of freedom (B. Yurdakul and J. Naranjo, J. Risk Model Validation 14, 2020), hence
    the noise (k - 1)(1/n + 1/m).
    """
    bins, n, m = len(expected), int(expected.sum()), int(actual.sum())
    e, a = (expected + 0.5) / (n + bins / 2), (actual + 0.5) / (m + bins / 2)
    return Drift(feature=feature, psi=float(np.sum((a - e) * np.log(a / e))), noise=(bins - 1) * (1 / n + 1 / m))


def measure_shift(feature: DriftFeature, expected: npt.NDArray[np.int64], actual: npt.NDArray[np.int64]) -> Shift:
    """
    Compare two histograms over the same k bins, of n and m values, and say how probable chance makes the difference.

    The index over (1/n + 1/m) is chi-squared of k - 1 degrees of freedom where nothing has changed; see `stability`.
    """
    expected, actual = pool(expected, actual)
    bins, found = len(expected), stability("mean", expected, actual)
    scale = 1 / int(expected.sum()) + 1 / int(actual.sum())
    chance = chi_squared_tail(bins - 1, found.psi / scale) if bins > 1 else 1.0
    return Shift(feature=feature, psi=found.psi, noise=found.noise, chance=chance)


def pool(
    expected: npt.NDArray[np.int64], actual: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """
    Join neighbouring bins of two histograms until of the second sample each may expect FEWEST.

    Of less the index is no chi-squared. Classes are joined in label order as well: an order that follows from the
    counts would bring those together that are rare by chance.
    """
    share = int(actual.sum()) / int(expected.sum())
    joined, left = list[tuple[int, int]](), (0, 0)
    for one, other in zip(expected.tolist(), actual.tolist(), strict=True):
        left = (left[0] + one, left[1] + other)
        if left[0] * share >= FEWEST:
            joined.append(left)
            left = (0, 0)
    if any(left):
        rest = joined.pop() if joined else (0, 0)
        joined.append((rest[0] + left[0], rest[1] + left[1]))
    one, other = np.array(joined, np.int64).T
    return one, other


def chi_squared_tail(degrees: int, value: float) -> float:
    """
    Return the probability that a chi-squared variable of so many degrees of freedom, 1 or more, is at least `value`.

    By the finite sums of whole degrees (M. Abramowitz and I. Stegun, 26.4.4 and 26.4.5); SciPy's takes a quarter of a
    second to import.
    """
    half, log = value / 2, math.log(value / 2) if value > 0 else -math.inf
    if value <= 0:
        return 1.0
    first = 0.5 if degrees % 2 else 0.0
    # The terms half^j / gamma(j + 1) of j = 0, 1, ... or 1/2, 3/2, ... below degrees / 2.
    terms = [
        math.exp((at + first) * log - half - math.lgamma(at + first + 1))
        for at in range((degrees - 1) // 2 if first else degrees // 2)
    ]
    return min(1.0, math.fsum(terms) + (math.erfc(math.sqrt(half)) if first else 0.0))


def beyond_chance(beyond: int, images: int, others: int) -> float:
    """
    Return the probability that the largest `beyond` of `images` and `others` values from one population are all images.

    m! / (m - c)! * (n + m - c)! / (n + m)! of m images and n others: each order of all of them is as probable.
    """
    if not beyond:
        return 1.0
    logs = (math.lgamma(value + 1) for value in (images, others + images - beyond, images - beyond, others + images))
    ways, rest, left, whole = logs
    return math.exp(ways + rest - left - whole)
