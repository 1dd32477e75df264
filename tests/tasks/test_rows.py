"""A range of a table's rows, read by row group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.room import Pool
from tasks.rows import Rows
from tests.tasks.small_split import small_split, written

DATA = small_split(150)


@pytest.mark.parametrize(
    ("start", "stop", "sizes"),
    [
        (0, 150, (40, 40, 40, 30)),
        (0, 120, (40, 40, 40)),
        (0, 95, (40, 40, 15)),
        (95, 150, (25, 30)),
        (50, 60, (10,)),
        (0, 40, (40,)),
        (150, 150, ()),
    ],
)
def test_a_range_is_read_whole(tmp_path: Path, start: int, stop: int, sizes: tuple[int, ...]) -> None:
    """Wherever a range begins and ends, its groups together are its rows, in any order that is asked for."""
    rows = Rows(written(tmp_path / "table.parquet", DATA), start, stop)
    assert (len(rows), rows.sizes) == (stop - start, sizes)
    if not sizes:
        return
    room = Pool((150, rows.table.pixels), np.uint8)
    pixels, labels = rows.read(range(len(sizes)), room)
    np.testing.assert_array_equal(pixels, DATA.image[start:stop])
    np.testing.assert_array_equal(labels, DATA.label[start:stop])
    assert pixels.dtype == np.uint8
    assert labels.dtype == np.int32
    backwards, _ = rows.read(range(len(sizes))[::-1], room)
    pieces = np.split(DATA.image[start:stop], np.cumsum(sizes)[:-1])
    np.testing.assert_array_equal(backwards, np.concatenate(pieces[::-1]))
