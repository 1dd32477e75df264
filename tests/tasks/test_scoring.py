"""Scoring: hand-worked cases, and identities that hold for any predictions."""

from __future__ import annotations

import math
import weakref

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.results import LISTED, SplitMetrics
from tasks.quality.scoring import Scores, Tally, score
from tests.memory import peak_memory
from tests.tasks.measured import measured

PROBABILITIES = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]], np.float32)
LABELS = np.array([0, 2, 0, 2], np.uint16)


def test_scores_worked_by_hand() -> None:
    """Loss is -log of the true class's probability, the first of equals is predicted, certainty of wrong is capped."""
    scores = score(PROBABILITIES, LABELS)
    assert scores.predicted.tolist() == [0, 1, 0, 1]
    assert scores.probability.tolist() == [0.5, 0.75, 0.5, 1.0]
    floor = -math.log(np.finfo(np.float32).tiny)
    np.testing.assert_allclose(scores.loss, [math.log(2), math.log(8), math.log(2), floor])


def test_metrics_worked_by_hand() -> None:
    """Two right of five: confusion, ratios, halves and first rows are as counted by hand; 0 / 0 is 0."""
    label, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 0])
    found = measured(Scores(label, predicted, np.ones(5), np.array([1.0, 2.0, 3.0, 4.0, 0.0])), ["a", "b", "c"])
    assert found.confusion == ((1, 2, 0), (1, 1, 0), (0, 0, 0))
    assert (found.samples, found.accuracy, found.loss) == (5, 0.4, 2.0)
    assert [(one.name, one.support) for one in found.classes] == [("a", 3), ("b", 2), ("c", 0)]
    ratios = [figure for one in found.classes for figure in (one.precision, one.recall, one.f1)]
    assert ratios == pytest.approx([1 / 2, 1 / 3, 2 / 5, 1 / 3, 1 / 2, 2 / 5, 0, 0, 0])
    assert found.halves == pytest.approx((1 / 2, 1 / 3))
    assert (found.first_labels, found.first_predictions) == ((0, 0, 0), (0, 1, 1))


def test_a_single_row_has_two_halves() -> None:
    """A split of one image is scored too; its first half is empty and counts as 0."""
    found = measured(score(PROBABILITIES[:1], LABELS[:1]), ["a", "b", "c"])
    assert (found.accuracy, found.halves, found.first_labels) == (1.0, (0.0, 1.0), (0,))


@given(classes=st.integers(2, 12), rows=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_identities_hold(classes: int, rows: int, seed: int) -> None:
    """Sums agree, weighted recall is the accuracy, halves add up."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.3), rows).astype(np.float32)
    labels = random.integers(0, classes, rows, np.uint16)
    names = [f"class {number}" for number in range(classes)]
    found = measured(score(probabilities, labels), names)
    confusion = np.array(found.confusion)
    support = np.array([one.support for one in found.classes])
    assert confusion.sum() == found.samples == rows
    assert support.tolist() == np.bincount(labels, minlength=classes).tolist() == confusion.sum(axis=1).tolist()
    assert np.trace(confusion) / rows == pytest.approx(found.accuracy)
    assert sum(one.recall * one.support for one in found.classes) / rows == pytest.approx(found.accuracy)
    guesses = confusion.sum(axis=0)
    assert sum(one.precision * n for one, n in zip(found.classes, guesses, strict=True)) / rows == pytest.approx(
        found.accuracy
    )
    first, last = found.halves
    assert first * (rows // 2) + last * (rows - rows // 2) == pytest.approx(found.accuracy * rows)
    assert all(
        one.f1 == pytest.approx(2 * one.precision * one.recall / (one.precision + one.recall))
        for one in found.classes
        if one.precision + one.recall
    )


def tallied(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.uint16], cuts: list[int]) -> SplitMetrics:
    """Measure rows that come in batches, cut at these places."""
    tally = Tally([f"class {number}" for number in range(probabilities.shape[1])], len(labels))
    for part, label in zip(np.split(probabilities, cuts), np.split(labels, cuts), strict=True):
        tally.add(score(part, label))
    return tally.measure()


@given(rows=st.integers(1, 300), seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 300)).map(sorted))
def test_no_cut_changes_a_bit(rows: int, seed: int, cuts: list[int]) -> None:
    """However rows are cut into batches, empty ones included, every metric is the very same; the loss is the mean."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(5, 0.1), rows).astype(np.float32)
    labels = random.integers(0, 5, rows, np.uint16)
    whole = tallied(probabilities, labels, [])
    assert tallied(probabilities, labels, cuts) == whole
    assert whole.loss == pytest.approx(math.fsum(score(probabilities, labels).loss) / rows, abs=2**-32)


@given(rows=st.integers(1, 200), seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 200))
def test_of_many_classes_only_the_pairs_that_occur_are_kept(rows: int, seed: int, cut: int) -> None:
    """Above 256 classes the confusion is its pairs in class order: the same as those of the whole matrix."""
    random, classes = np.random.default_rng(seed), LISTED + 1
    label, predicted = random.integers(0, 5, rows) * 64, random.integers(0, classes, rows)
    whole = Scores(label, predicted, np.ones(rows), np.zeros(rows))
    tally = Tally([f"class {number}" for number in range(classes)], rows)
    for part in (slice(None, cut), slice(cut, None)):
        tally.add(Scores(*(column[part] for column in vars(whole).values())))
    found = tally.measure()
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (label, predicted), 1)
    true, taken_for = matrix.nonzero()
    expected = zip(true.tolist(), taken_for.tolist(), matrix[true, taken_for].tolist(), strict=True)
    assert found.confusion == tuple(expected)
    assert [one.support for one in found.classes] == matrix.sum(axis=1).tolist()
    assert found.matrix(range(classes)) == matrix.tolist()


def test_a_tally_of_many_classes_is_small() -> None:
    """Of 65,536 classes a whole matrix would take 34 GB: memory is that of the rows and of the classes."""
    rows = 1000
    label = np.arange(rows) * 65
    scores = Scores(label, label[::-1].copy(), np.ones(rows), np.zeros(rows))
    assert peak_memory(lambda: measured(scores, ["a"] * 65_536), limit=100 * 2**20) < 100 * 2**20


def test_a_tally_keeps_no_scores() -> None:
    """What has been added is free to go: memory is that of the counts, however many batches there were."""
    tally, added = Tally(["a", "b", "c"], 400), []
    for _ in range(100):
        scores = score(PROBABILITIES, LABELS)
        tally.add(scores)
        added += [weakref.ref(column) for column in vars(scores).values()]
        del scores
    assert [column for column in added if column() is not None] == []
    assert tally.measure().confusion == ((200, 0, 0), (0, 0, 0), (0, 200, 0))
