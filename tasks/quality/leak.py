"""Which test images a model has seen in training, and how many of them it names right; memory grows with no table."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.quality.duplicates import bands, look_up, read_band, recut
from tasks.quality.profile import count_rows, read_parts

if TYPE_CHECKING:
    import pyarrow.parquet as pq


class Leak(NamedTuple):
    """The test images whose pixels occur in the train split: how many, and how many of them are named right."""

    images: int
    right: int


def find_leak(train: Path, test: Path, predictions: Path) -> Leak:
    """
    Go by the digests of pixels for test images that occur in the train split, all of them.

    Args:
        train, test: their `profile.parquet`.
        predictions: `predictions.parquet`: whole row groups of train, then of test, in the order of the tables. Only
                     row groups with such an image are read.
    """
    import pyarrow.parquet as pq

    images, right = 0, 0
    with pq.ParquetFile(predictions) as file:
        groups = _last_groups(file, count_rows(test))
        for low, high in bands(count_rows(train)):
            known = read_band(train, low, high, 1)
            for group, digest in zip(groups, recut(read_parts(test, "digest"), groups.values()), strict=True):
                inside = np.flatnonzero((low <= digest) & (digest <= high))
                seen = inside[look_up(digest[inside], known)[1]]
                if len(seen):
                    images += len(seen)
                    right += int(_read_right(file, group)[seen].sum())
    return Leak(images, right)


def _last_groups(file: pq.ParquetFile, rows: int) -> dict[int, int]:
    """Return the row groups that the last `rows` rows are in, with their sizes."""
    whole = file.metadata
    sizes = [whole.row_group(group).num_rows for group in range(whole.num_row_groups)]
    ends = accumulate(sizes)
    return {group: sizes[group] for group, end in enumerate(ends) if end > whole.num_rows - rows}


def _read_right(file: pq.ParquetFile, group: int) -> npt.NDArray[np.bool_]:
    table = file.read_row_group(group, ["label", "predicted"])
    right: npt.NDArray[Any] = table["label"].to_numpy() == table["predicted"].to_numpy()
    return right
