"""Many times MNIST: the same bytes each time, and no image twice."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from benchmarks.replicate import describe, shard_names, vary, write_shards
from schemas.catalog import load_dataset
from tests.benchmarks.digits import DIGITS, read_split


def test_the_first_copy_is_the_original_and_the_others_are_moved() -> None:
    """Copy 0 is as it was; each of the next 24 is a move by up to two pixels, which loses what leaves the image."""
    images = np.zeros((1, 7, 7), np.uint8)
    images[0, 3, 3] = 200
    assert (vary(images, 0) == images).all()
    places = {tuple(np.argwhere(vary(images, copy)[0])[0].tolist()) for copy in range(25)}
    assert places == {(row, column) for row in range(1, 6) for column in range(1, 6)}
    assert vary(images, 99).max() == 197


def test_no_image_occurs_twice_in_a_hundred_copies() -> None:
    """Of the digits, which have no two images alike, a hundred copies have none either."""
    pixels = read_split("train").image.reshape(-1, 8, 8)[:40]
    framed = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))  # MNIST has such a frame, the digits have none
    seen = {image.tobytes() for copy in range(100) for image in vary(framed, copy)}
    assert len(seen) == 100 * len(framed)


def test_shards_are_the_same_bytes_each_time_and_read_as_a_data_set(tmp_path: Path) -> None:
    """Two folders hold equal files; the description names as many shards as there are copies, and the test split."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        write_shards(DIGITS, folder, 3)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second
    data = load_dataset(str(describe(DIGITS, folders[0], 3)))
    assert [len(split.shards) for split in data.splits.values()] == [3, 1]
    assert {file.name for file in data.files} == set(first)
    images, _ = shard_names(1)
    assert len(gzip.decompress(first[images])) == 16 + 1500 * 64


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    """A second call writes only the shards that are missing."""
    write_shards(DIGITS, tmp_path, 1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_shards(DIGITS, tmp_path, 2)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()
