"""Test images that occur in the train split: all of them are counted, and how many of them are named right."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.image_table import Batch
from tasks.evaluate import write_predictions
from tasks.quality import duplicates
from tasks.quality.duplicates import Leak, find_leak
from tasks.quality.scoring import score
from tests.memory import peak_memory

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
digests = st.lists(st.integers(0, 9), min_size=1, max_size=40)


def profile(path: Path, digest: npt.NDArray[np.uint64], group: int) -> Path:
    """Write the column of a profile that tells images apart."""
    pq.write_table(pa.table({"digest": digest}), path, row_group_size=group)
    return path


def predictions(path: Path, groups: list[tuple[str, npt.NDArray[np.bool_]]]) -> Path:
    """Write row groups of predictions which are right or not, as evaluate does."""

    def batch(right: npt.NDArray[np.bool_]) -> Batch:
        rows = len(right)
        return Batch(np.arange(rows, dtype=np.uint32), np.zeros(rows, np.uint16), np.zeros((rows, 1), np.uint8))

    def scored(right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        return np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]]).astype(np.float32)

    write_predictions(
        path, ((split, batch(right), score(scored(right), np.zeros(len(right), np.int64))) for split, right in groups)
    )
    return path


def cut(split: str, right: npt.NDArray[np.bool_], size: int) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Cut a split into row groups."""
    return [(split, right[start : start + size]) for start in range(0, len(right), size)]


@in_one_folder
@given(digests, digests, st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_every_copy_is_counted(
    tmp_path: Path, train: list[int], test: list[int], group: int, other: int, seed: int
) -> None:
    """However all three files are cut, and in however many bands: what two loops over the rows count."""
    right = np.random.default_rng(seed).random(len(test)) < 0.5
    step = np.uint64(2**60)  # so that the digests spread over the bands
    known, asked = (np.array(digest, np.uint64) * step for digest in (train, test))
    files = profile(tmp_path / "train", known, other), profile(tmp_path / "test", asked, group)
    rows = [*cut("train", np.ones(len(train), bool), group), *cut("test", right, other)]
    written = predictions(tmp_path / "predictions", rows)
    seen = [digest in train for digest in test]
    expected = Leak(sum(seen), sum(hit for hit, copy in zip(right.tolist(), seen, strict=True) if copy))
    for band in (100, 7, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(duplicates, "BAND", band)
            assert find_leak(*files, written) == expected


def test_memory_does_not_grow_with_the_test_split(tmp_path: Path) -> None:
    """Eight times the rows, each of them a copy, take the same memory."""
    train = profile(tmp_path / "train", np.arange(50, dtype=np.uint64), 50)
    peaks: list[int] = []
    for rows in (20_000, 160_000):
        test = profile(tmp_path / "test", np.arange(rows, dtype=np.uint64) % np.uint64(50), 5_000)
        written = predictions(tmp_path / "predictions", cut("test", np.arange(rows) % 2 == 0, 5_000))
        assert find_leak(train, test, written) == Leak(rows, rows // 2)
        limit = peaks[0] + 100_000 if peaks else 0
        peaks.append(peak_memory(partial(find_leak, train, test, written), limit=limit))
    assert peaks[1] < limit
