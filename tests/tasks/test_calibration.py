"""How far probabilities can be believed: errors and coverage against sums by hand, temperatures against a fine grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calibration import BINS, LARGEST_ERROR, Calibration, Coverage
from schemas.results import wilson_interval
from tasks.quality.calibration import Reliability, cover, fit_temperature

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


def drawn(seed: int, rows: int = 1000) -> tuple[Floats, Bools]:
    """Probabilities, with many equal ones, and whether predictions are right about as often."""
    random = np.random.default_rng(seed)
    probability = np.round(random.uniform(0.1, 1, rows), random.integers(1, 6)).astype(np.float32)
    return probability, random.random(rows) < probability


def measured(probability: Floats, right: Bools, cuts: list[int]) -> Reliability:
    """Add rows in pieces."""
    found = Reliability()
    for rows in np.split(np.arange(len(right)), cuts):
        found.add(probability[rows].astype(np.float64), right[rows])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_the_mean_distance_of_both(seed: int) -> None:
    """Row by row, as the paper writes it: a bin has what is above its lower and at most its upper bound."""
    probability, right = drawn(seed)
    found = measured(probability, right, []).measure()
    total = 0.0
    for at, each in enumerate(found.bins):
        lower, upper = at / BINS, (at + 1) / BINS
        rows = [i for i, p in enumerate(probability.tolist()) if lower < p <= upper]
        assert (each.lower, each.upper, each.images) == (lower, upper, len(rows))
        if rows:
            assert each.confidence == pytest.approx(np.mean(probability[rows].astype(float)), abs=1e-9)
            assert each.accuracy == pytest.approx(np.mean(right[rows]))
            total += abs(float(probability[rows].astype(float).sum()) - float(right[rows].sum()))
        else:
            assert each.confidence is each.accuracy is None
    assert sum(each.images for each in found.bins) == 1000
    assert found.error == pytest.approx(total / 1000, abs=1e-9)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 300), max_size=5))
def test_it_does_not_depend_on_how_rows_are_cut(seed: int, cuts: list[int]) -> None:
    """To the last bit."""
    probability, right = drawn(seed, 300)
    assert measured(probability, right, sorted(cuts)).measure() == measured(probability, right, []).measure()


def test_the_bounds_have_their_bins() -> None:
    """Of 1 the last one, and of 0, which no softmax gives, the first."""
    found = measured(np.array([0, 1, 1], np.float32), np.array([False, True, True]), []).measure()
    assert (found.bins[0].images, found.bins[-1].images, found.error) == (1, 2, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_gives_what_the_table_says(seed: int) -> None:
    """Whoever keeps the images of at least that probability has that many, and is right that often."""
    probability, right = drawn(seed)
    table = cover(probability, right)
    assert (table[0].asked, table[0].left_out, table[0].images) == (0, 0, 1000)
    for row in table:
        kept = probability >= np.float32(row.threshold)
        assert row.images == int(kept.sum())
        assert row.accuracy == pytest.approx(right[kept].mean())
        assert row.left_out == (1000 - row.images) / 1000 <= row.asked
        assert row.interval == wilson_interval(row.accuracy, row.images)
    assert [row.images for row in table] == sorted({row.images for row in table}, reverse=True)


def test_equal_probabilities_stay_together() -> None:
    """A model that is as sure of all images has one row: no tenth of them is less sure than the others."""
    table = cover(np.full(100, 0.9, np.float32), np.arange(100) > 9)
    assert [(row.left_out, row.images, row.accuracy) for row in table] == [(0, 100, 0.9)]


def cross_entropy(logits: Floats, label: npt.NDArray[np.int64], temperature: float) -> float:
    """Mean over rows, in nats."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(label)), label]))


@pytest.mark.parametrize("true", [0.3, 0.8, 1.0, 2.5, 7.0])
def test_the_temperature_is_the_one_that_fits_best(true: float) -> None:
    """Of labels drawn from a softmax at some temperature; no other on a fine grid has a lower cross-entropy."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 2 * true, (4000, 7)).astype(np.float32)
    chances = np.exp(logits / true)
    chances /= chances.sum(axis=1, keepdims=True)
    label = (random.random((4000, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 6)
    found = fit_temperature(logits, label)
    assert found is not None
    assert found == pytest.approx(true, rel=0.1)
    best = cross_entropy(logits, label, found)
    assert all(best <= cross_entropy(logits, label, other) + 1e-9 for other in np.linspace(0.1, 10, 500))


def test_where_every_row_is_right_there_is_no_best_temperature() -> None:
    """The sharper the better, without end; and of logits that are all equal none is better than another."""
    label = np.arange(300) % 3
    assert fit_temperature(np.eye(3, dtype=np.float32)[label] * 5, label) is None
    assert fit_temperature(np.zeros((300, 3), np.float32), label) is None


@pytest.mark.parametrize(("rows", "seed"), [(100, 1), (300, 2), (10_000, 3)])
def test_chance_is_what_right_probabilities_have(rows: int, seed: int) -> None:
    """Of few images the error is large though nothing is wrong: it is told beside it, and nothing is proposed."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(40):
        probability = random.uniform(0.3, 1, rows)
        each = Reliability()
        each.add(probability, random.random(rows) < probability)
        found.append(each.measure())
    assert np.mean([each.error for each in found]) == pytest.approx(np.mean([each.chance for each in found]), rel=0.1)
    assert not any(each.poor for each in found if rows > 200)


def calibration(error: float, chance: float = 0.004, *coverage: Coverage) -> Calibration:
    """A calibration without bins."""
    return Calibration(error=error, chance=chance, bins=(), coverage=coverage)


def test_a_line_says_what_to_do() -> None:
    """Calibrate, where the error is large and that could be done; what a person gains by the least sure ones."""
    row = Coverage(asked=0.05, left_out=0.0497, threshold=0.6, images=9503, accuracy=0.9998, interval=(0.9992, 0.9999))
    assert calibration(0.1012, 0.004, row).words(propose=True) == (
        "probabilities are 10.1 points off on average (ECE), 0.4 by chance alone; try --set training.calibrate=true; "
        "leave the 5 % least sure to a person, and 99.98 % of the rest are right (99.92 to 99.99 %)"
    )
    assert "calibrate" not in calibration(0.1012, 0.004, row).words(propose=False)
    assert "calibrate" not in calibration(0.1, 0.08).words(propose=True)
    least = calibration(LARGEST_ERROR, 0).words(propose=True)
    assert least == "probabilities are 3 points off on average (ECE), 0 by chance alone"
