"""How unlike the train split another split is, and which images they share: one profile beside another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.statistics import FEATURES, Drift, Feature
from tasks.profile import read_column


def measure_drift(train: Path, other: Path, classes: int) -> tuple[Drift, ...]:
    """
    Compare two `profile.parquet` by class, mean intensity and ink.

    The bins are each class, and the tenths of the train images by mean and by ink.
    """
    drifts = []
    for feature in FEATURES:
        expected, actual = read_column(train, feature), read_column(other, feature)
        edges = np.arange(1, classes) if feature == "label" else deciles(expected)
        drifts.append(stability(feature, histogram(expected, edges), histogram(actual, edges)))
    return tuple(drifts)


def find_shared(train: Path, other: Path) -> npt.NDArray[np.int64]:
    """Return the ids of the images of `other` that `train` has as well, ascending, going by their digests."""
    known, digest = read_column(train, "digest"), read_column(other, "digest")
    known.sort()
    # Not np.isin: its hash table of 6 million digests takes 6 s, sorting them 0.04 s.
    at = np.minimum(np.searchsorted(known, digest), len(known) - 1)
    return np.flatnonzero(known[at] == digest)


def deciles(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the different ones of the nine values that cut `values` into tenths, ascending."""
    return np.unique(np.quantile(values, np.arange(1, 10) / 10))


def histogram(values: npt.NDArray[Any], edges: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the values below, between and from the last of k ascending edges on; int64 (k + 1,)."""
    below = np.searchsorted(np.sort(values), edges)
    return np.diff(below, prepend=0, append=len(values))


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
