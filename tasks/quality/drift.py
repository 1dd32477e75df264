"""How unlike the train split another split is: one profile beside another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.results import FEATURES, Drift, Feature
from tasks.quality.profile import read_column, read_parts


def measure_drift(train: Path, other: Path, classes: int) -> tuple[Drift, ...]:
    """
    Compare two `profile.parquet` by class, mean intensity and ink.

    The bins are each class, and the tenths of the train images by mean and by ink.
    """
    drifts = []
    for feature in FEATURES:
        edges = np.arange(1, classes) if feature == "label" else deciles(read_column(train, feature))
        expected, actual = (sum_histograms(read_parts(each, feature), edges) for each in (train, other))
        drifts.append(stability(feature, expected, actual))
    return tuple(drifts)


def deciles(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the different ones of the nine values that cut `values`, which are moved about, into tenths, ascending."""
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
