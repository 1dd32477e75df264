"""Label hints: which train images are ranked first, and how many are worth a look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.image_table import Batch
from tasks.evaluate import write_predictions
from tasks.quality.hints import WORTH, excess_of, find_hints, rank
from tasks.quality.scoring import Scores


def write(split: str, *rows: tuple[int, int, float, float]) -> tuple[str, Batch, Scores]:
    """Return a batch of predictions: label, predicted, probability, loss of each image."""
    label, predicted, probability, loss = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    batch = Batch(np.arange(n, dtype=np.uint32), label.astype(np.uint16), np.zeros((n, 4), np.uint8))
    return split, batch, Scores(label, predicted, probability, loss)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 87, width=32)), min_size=1, max_size=40))
def test_the_excess_is_over_the_classes_median(rows: list[tuple[int, float]]) -> None:
    """It is the loss less NumPy's median of its class, also of one image, and of classes that do not occur."""
    label, loss = np.array([row[0] for row in rows], np.uint16), np.array([row[1] for row in rows], np.float32)
    expected = [float(loss[n]) - np.median(loss[label == label[n]].astype(float)) for n in range(len(rows))]
    np.testing.assert_allclose(excess_of(loss, label), expected, atol=1e-12)


def test_a_hard_class_does_not_fill_the_list() -> None:
    """An odd image of an easy class stands before usual ones of a hard class that have a higher loss."""
    label = np.array([0, 0, 0, 1, 1, 1], np.uint16)
    loss = np.array([2.6, 2.7, 2.8, 0.1, 0.1, 2.5], np.float32)
    assert rank(loss, label).tolist() == [5, 2, 1, 3, 4, 0]


def test_what_is_worth_a_look(tmp_path: Path) -> None:
    """Train images alone, named otherwise than labelled, with more than 2 nats of excess; the first ones are listed."""
    usual = [(0, 0, 0.9, 0.1)] * 5 + [(1, 1, 0.8, 0.2)] * 5
    odd = [(0, 1, 0.99, 4.6), (0, 0, 0.3, 9.0), (1, 0, 0.6, 2.19), (1, 0, 0.7, 2.5), (0, 1, 0.95, 4.6)]
    batches = [write("train", *usual, *odd), write("test", (0, 1, 1.0, 20.0))]
    write_predictions(path := tmp_path / "predictions.parquet", iter(batches))
    found = find_hints(path, 2)
    assert (found.images, found.agreed, found.worth) == (15, 11, 3)
    assert [hint.sample_id for hint in found.first] == [10, 14]
    first = find_hints(path, 50).first
    assert [hint.sample_id for hint in first] == [10, 14, 13]
    assert (first[0].label, first[0].predicted) == (0, 1)
    assert (first[0].probability, first[0].loss) == pytest.approx((0.99, 4.6))
    assert first[2].excess == pytest.approx(2.5 - 0.2, abs=1e-6)
    assert all(hint.excess > WORTH for hint in first)


def test_nothing_is_worth_a_look_where_the_model_agrees(tmp_path: Path) -> None:
    """Of labels that the model names there is no hint."""
    batches = [write("train", *[(0, 0, 1.0, 0.0)] * 3), write("test", (0, 0, 1.0, 0.0))]
    write_predictions(path := tmp_path / "predictions.parquet", iter(batches))
    found = find_hints(path, 50)
    assert (found.worth, found.first, found.agreed) == (0, (), 3)
