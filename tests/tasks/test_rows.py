"""Some of a table's rows, read by row group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.fitting.room import Pool
from tasks.fitting.rows import Rows
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
