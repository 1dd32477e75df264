"""Intervals: what chance explains."""

from __future__ import annotations

import math

import pytest

from schemas.intervals import least_difference, wilson_interval


@pytest.mark.parametrize(
    ("right", "samples", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9606, 10000, 0.9566, 0.9642)],
)
def test_the_interval_is_wilsons(right: int, samples: int, low: float, high: float) -> None:
    """The bounds are the shares p at which the share found lies 1.96 standard errors, of p, away."""
    found = wilson_interval(right / samples, samples)
    assert found == pytest.approx((low, high), abs=1e-4)
    for p in found:
        if 0 < p < 1:
            assert abs(right / samples - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / samples), abs=1e-7)


@pytest.mark.parametrize(
    ("high", "low", "least"),
    [
        ((56 / 70, 70), (48 / 80, 80), 0.0524),
        ((9 / 10, 10), (3 / 10, 10), 0.1705),
        ((10 / 10, 10), (0 / 20, 20), 0.6791),
    ],
)
def test_the_least_difference_is_newcombes(high: tuple[float, int], low: tuple[float, int], least: float) -> None:
    """The lower limits are those of the worked examples in Newcombe's paper (table II, method 10)."""
    assert least_difference(high, low) == pytest.approx(least, abs=1e-4)
