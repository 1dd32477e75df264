"""The order of learning: every row once, shuffled within windows that memory has room for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.fitting.order import positions, windows

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
