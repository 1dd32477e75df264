"""What is held out of the train table: which rows, what is refused, what is odd about it, and how it is fed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import StageError
from schemas.held_out import Way
from schemas.image_table import Batch, ImageTable
from schemas.training import Training
from tasks.fitting.holding import Holding, count_train_rows, hold_out
from tests.tasks.small_split import MEAN, SHAPE, STD, small_split, written

CLASSES = tuple("abcdefghij")
in_one_folder = settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


def labelled(folder: Path, labels: npt.NDArray[np.integer], classes: tuple[str, ...] = CLASSES) -> ImageTable:
    """Write a table with these labels, whose images all differ."""
    image = np.zeros((len(labels), 6), np.uint8)
    image[:, :4] = np.arange(len(labels), dtype="<u4").view(np.uint8).reshape(-1, 4)
    rows = Batch(np.arange(len(labels), dtype=np.uint32), labels.astype(np.uint16), image)
    return written(folder / "table.parquet", rows, classes=classes)


def held(folder: Path, sizes: list[int], way: Way, fraction: float = 0.1, patience: int = 0) -> Holding:
    """Hold rows out of a table that is sorted by class, with so many images of each."""
    table = labelled(folder, np.repeat(np.arange(len(sizes)), sizes))
    return hold_out(table, way, Training(validation_fraction=fraction, patience=patience))


@pytest.mark.parametrize(
    ("rows", "fraction", "kept"),
    [(60_000, 0.1, 54_000), (1_500, 0.1, 1_350), (10, 0.25, 7), (3, 0.1, 2), (5, 0, 5), (2, 0.5, 1)],
)
def test_train_rows_are_rounded_down(rows: int, fraction: float, kept: int) -> None:
    """The number of train rows is rounded down, as Keras's validation_split does."""
    assert count_train_rows(rows, fraction) == kept


@pytest.mark.parametrize(("rows", "fraction"), [(4, 0.9), (1, 0.1), (0, 0.0)])
def test_a_split_without_train_rows_is_refused(rows: int, fraction: float) -> None:
    """When all rows would be held out, the error names the field, the rows and the way out."""
    told = rf"training\.validation_fraction: expected .* found {fraction:g} of {rows} rows? held out\..*`--set"
    with pytest.raises(StageError, match=told):
        count_train_rows(rows, fraction)


def test_the_last_rows_are_held_out_as_ever(tmp_path: Path) -> None:
    """The catalog's way holds the last tenth out, whatever it is."""
    table = labelled(tmp_path, np.arange(150) % 10)
    found = hold_out(table, "last", Training())
    assert np.flatnonzero(found.rows).tolist() == list(range(135, 150))
    assert (found.trained, found.findings) == (135, ())


def test_a_sorted_set_is_stratified(tmp_path: Path) -> None:
    """Of rows that are sorted by class the same share of each is held out; nothing is odd about it."""
    found = held(tmp_path, [50, 100, 200], "stratified")
    assert [found.rows[start:stop].sum() for start, stop in ((0, 50), (50, 150), (150, 350))] == [5, 10, 20]
    assert (found.trained, found.findings) == (315, ())


def test_the_seed_of_training_draws_the_rows(tmp_path: Path) -> None:
    """Another training.seed holds other rows out, and the same one the same rows."""
    table = labelled(tmp_path, np.arange(150) % 10)
    one, two, other = (hold_out(table, "stratified", Training(seed=seed)).rows for seed in (1, 1, 2))
    assert (one == two).all()
    assert (one != other).any()


def test_a_class_that_is_not_trained_on_is_refused(tmp_path: Path) -> None:
    """The last class of a sorted set is named, with ways out that can be typed, also where patience forbids one."""
    told = r'^held-out rows: expected rows of every class .* all rows of the class c held out\. Write held_out = "strat'
    with pytest.raises(StageError, match=told + r".*`--set training\.validation_fraction=0`\.$"):
        held(tmp_path, [50, 45, 5], "last")
    with pytest.raises(StageError, match=r"of the classes g, h, i, \.\.\. held out.*fraction=0 training\.patience=0`"):
        held(tmp_path, [10] * 10, "last", 0.4, patience=3)


def test_a_class_without_images_is_no_error_of_training(tmp_path: Path) -> None:
    """What the data set's checks let through is not held against its held-out rows."""
    assert held(tmp_path, [50, 0, 50], "stratified").findings == ()


def test_nothing_held_out_is_nothing_odd(tmp_path: Path) -> None:
    """With a fraction of 0 every row is trained on, whatever the way."""
    found = held(tmp_path, [50, 50], "stratified", 0)
    assert (found.trained, found.findings) == (100, ())


def test_where_nothing_can_be_held_out_that_is_told(tmp_path: Path) -> None:
    """Copies of one image a class leave nothing to validate with: a finding, and with patience an error."""
    labels = np.repeat(np.arange(3), 20)
    image = np.repeat(np.arange(3, dtype=np.uint8)[:, None] * np.ones(6, np.uint8), 20, axis=0)
    rows = Batch(np.arange(60, dtype=np.uint32), labels.astype(np.uint16), image)
    table = written(tmp_path / "table.parquet", rows, classes=CLASSES[:3])
    found = hold_out(table, "stratified", Training())
    assert not found.rows.any()
    assert found.findings == (
        "No row of 60 can be held out: there are too few different images of each class; there is no validation",
    )
    with pytest.raises(StageError, match=r"^training\.patience: .*no row of 60 can be.*`--set training\.patience=0`"):
        hold_out(table, "stratified", Training(patience=3))


def test_uneven_rows_are_told_in_one_sentence(tmp_path: Path) -> None:
    """Half of the last class and nothing of the others: one finding names the first few of them, and counts all."""
    (finding,) = held(tmp_path, [50] * 10, "last", 0.05).findings
    assert finding.startswith(
        "No row of 9 of 10 classes is held out (a, b, c, ...), and more than twice its share of 1 of 10 classes (j): "
    )
    assert 'held_out = "stratified"' in finding


def test_a_small_class_without_a_held_out_row_is_told(tmp_path: Path) -> None:
    """Of three images none is a tenth: validation says nothing of their class, and one row too many is no matter."""
    (finding,) = held(tmp_path, [3, 100, 100], "stratified").findings
    assert finding.startswith("No row of 1 of 3 classes is held out (a): ")
    assert "held_out" not in finding
    assert held(tmp_path, [7, 100, 100], "stratified").findings == ()


@in_one_folder
@given(
    st.integers(3, 200), st.integers(1, 60), st.integers(1, 200), st.sampled_from([0.1, 0.3, 0.6]), st.integers(0, 9)
)
def test_streamed_rows_are_those_of_memory(
    tmp_path: Path, rows: int, group: int, window: int, fraction: float, seed: int
) -> None:
    """Stratified or not, both feeds give the same train and held-out rows, in the same order, to the bit."""
    from tasks.fitting.feed import Held, Streamed
    from tasks.fitting.network import build_network
    from tasks.fitting.rows import Rows

    table = written(tmp_path / "table.parquet", small_split(rows, seed), group=group)
    training = Training(hidden=(2,), validation_fraction=fraction, seed=seed, shuffle_window=window, batch_size=8)
    chosen = hold_out(table, "stratified", training).rows
    network = build_network(training, MEAN.reshape(SHAPE), STD, 3, len(chosen))
    train, other = Rows(table, ~chosen), Rows(ImageTable(*table.paths), chosen)
    seen = []
    for kind in (Held, Streamed):
        feed = kind(train, other, network, training)
        pieces = [
            (images[lying[0]], labels[lying[0]]) if lying else (images, labels)
            for images, labels, *lying in feed.training(0).take(feed.steps).as_numpy_iterator()
        ]
        pieces += feed.validation().as_numpy_iterator() if chosen.any() else []
        seen.append([np.concatenate([piece[part] for piece in pieces]) for part in (0, 1)])
    for one, another in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, another)
