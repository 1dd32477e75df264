"""Some of a table's rows, read by row group; and the order of learning: every row once, within windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.fitting.memory import Pool
from tasks.fitting.rows import Rows, positions, windows
from tests.tasks.small_split import small_split, written

DATA = small_split(150)


EVERY = np.arange(150)


@pytest.mark.parametrize(
    ("chosen", "sizes"),
    [
        (EVERY >= 0, (40, 40, 40, 30)),
        (EVERY < 120, (40, 40, 40)),
        (EVERY < 95, (40, 40, 15)),
        (EVERY >= 95, (25, 30)),
        ((EVERY >= 50) & (EVERY < 60), (10,)),
        (EVERY < 40, (40,)),
        (EVERY < 0, ()),
        (EVERY % 3 == 1, (13, 14, 13, 10)),
        (np.isin(EVERY, [3, 5, 119, 149]), (2, 1, 1)),
    ],
)
def test_chosen_rows_are_read_in_their_order(
    tmp_path: Path, chosen: npt.NDArray[np.bool_], sizes: tuple[int, ...]
) -> None:
    """Wherever they lie, their groups together are the chosen rows, in any order that is asked for."""
    rows = Rows(written(tmp_path / "table.parquet", DATA), chosen)
    assert (len(rows), rows.sizes) == (chosen.sum(), sizes)
    if not sizes:
        return
    room = Pool((150, rows.table.pixels), np.uint8)
    pixels, labels = rows.read(range(len(sizes)), room)
    np.testing.assert_array_equal(pixels, DATA.image[chosen])
    np.testing.assert_array_equal(labels, DATA.label[chosen])
    assert pixels.dtype == np.uint8
    assert labels.dtype == np.int32
    backwards, _ = rows.read(range(len(sizes))[::-1], room)
    pieces = np.split(DATA.image[chosen], np.cumsum(sizes)[:-1])
    np.testing.assert_array_equal(backwards, np.concatenate(pieces[::-1]))


def test_consecutive_rows_are_not_copied(tmp_path: Path) -> None:
    """A group of which the rows lie side by side is a view of what was read."""
    table = written(tmp_path / "table.parquet", DATA)
    assert not Rows(table, EVERY < 95).group(2)[0].flags.owndata
    assert Rows(table, EVERY % 3 == 1).group(2)[0].flags.owndata


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=12)


@given(sizes=SIZES, window=st.integers(1, 100), epoch=st.integers(0, 3))
def test_every_row_is_met_once(sizes: list[int], window: int, epoch: int) -> None:
    """Whatever the groups and the window, an epoch is a permutation of the rows, and its windows have their size."""
    found = list(windows(sizes, window, 5, epoch))
    assert sorted(group for one in found for group in one.groups) == list(range(len(sizes)))
    for one in found:
        rows = sum(sizes[group] for group in one.groups)
        assert rows <= window or len(one.groups) == 1
        assert sorted(one.order.tolist()) == list(range(rows))
    order = positions(sizes, iter(found))
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(sum(sizes)))


def test_positions_are_those_of_the_groups_in_the_window() -> None:
    """The rows of a window are those of its groups, each at its place in the table."""
    sizes = [3, 5, 2, 4, 6]
    starts = [0, 3, 8, 10, 14]
    found, order, begin = list(windows(sizes, 9, 1, 0)), positions(sizes, windows(sizes, 9, 1, 0)).tolist(), 0
    assert len(found) > 2
    for window in found:
        rows = [row for group in window.groups for row in range(starts[group], starts[group] + sizes[group])]
        assert order[begin : begin + len(rows)] == [rows[place] for place in window.order]
        begin += len(rows)


def test_an_order_repeats_with_seed_and_epoch() -> None:
    """Another epoch and another seed have other orders, of groups too; the same ones have the same."""
    sizes = [10] * 10
    orders = [positions(sizes, windows(sizes, 30, seed, epoch)) for seed in (1, 2) for epoch in (0, 1)]
    assert len({order.tobytes() for order in orders}) == 4
    np.testing.assert_array_equal(positions(sizes, windows(sizes, 30, 1, 1)), orders[1])
    groups = {tuple(window.groups) for epoch in range(5) for window in windows(sizes, 30, 1, epoch)}
    assert len(groups) > 10


@pytest.mark.parametrize("sizes", [[100], [40, 60], [10] * 10])
def test_what_fits_into_one_window_does_not_depend_on_its_groups(sizes: list[int]) -> None:
    """A table no larger than a window has one uniform permutation, however its rows are grouped."""
    np.testing.assert_array_equal(
        positions(sizes, windows(sizes, 100, 3, 2)), positions([100], windows([100], 100, 3, 2))
    )
    seen = np.array([positions(sizes, windows(sizes, 100, seed, 0)) for seed in range(400)])
    # The mean place of a row is that of a uniform draw: 49.5, with a standard error of 1.44.
    assert abs(seen.mean(axis=0) - 49.5).max() < 5 * 1.44
