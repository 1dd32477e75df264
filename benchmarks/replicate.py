"""
Data sets of many times MNIST: copies of the train split as `.gz` shards, each moved by up to two pixels.

Nothing is drawn by chance: copy r is moved to place r mod 25 of a 5 x 5 grid, the first one not at all, and made
darker by r div 25 levels, so that no image occurs twice, as hardly any does in a real set of that size.
"""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.mnist import FILES

REACH = 2
GRID = [(down, right) for down in range(-REACH, REACH + 1) for right in range(-REACH, REACH + 1)]
GRID.sort(key=lambda place: (abs(place[0]) + abs(place[1]), place))


def vary(images: npt.NDArray[np.uint8], copy: int) -> npt.NDArray[np.uint8]:
    """
    Return the images of a copy, moved and darkened; what comes in is 0.

    Args: images: uint8 (n, rows, columns).  copy: from 0.
    """
    (down, right), levels = GRID[copy % len(GRID)], copy // len(GRID)
    moved = np.zeros_like(images)
    _, rows, columns = images.shape
    to_rows, from_rows = _overlap(down, rows)
    to_columns, from_columns = _overlap(right, columns)
    moved[:, to_rows, to_columns] = images[:, from_rows, from_columns]
    moved -= np.minimum(moved, np.uint8(levels))
    return moved


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    """Return where pixels go to, and where they come from, along one axis."""
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size + min(-by, 0))


def write_shards(mnist: Path, folder: Path, copies: int) -> None:
    """Write the shards that are not there yet, and the test split beside them. One copy at a time is in memory."""
    from isal import igzip

    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES[2:]:
        if not (folder / name).exists():
            shutil.copyfile(mnist / name, folder / name)
    with gzip.open(mnist / FILES[0]) as file:
        header = file.read(16)
        shape = struct.unpack(">4x3I", header)
        images = np.frombuffer(file.read(), np.uint8).reshape(shape)
    for copy in range(copies):
        shard, labels = (folder / name for name in shard_names(copy))
        if not shard.exists():
            part = shard.with_suffix(".part")
            part.write_bytes(igzip.compress(header + vary(images, copy).tobytes(), 1, mtime=0))
            part.rename(shard)
        if not labels.exists():
            shutil.copyfile(mnist / FILES[1], labels)


def shard_names(copy: int) -> tuple[str, str]:
    """Return the names of a shard's files: images, labels."""
    return f"train-images-{copy:03}.gz", f"train-labels-{copy:03}.gz"


def describe(mnist: Path, folder: Path, copies: int) -> Path:
    """Describe the data set of the first `copies` shards, as the catalog does. Returns: the path."""
    with gzip.open(mnist / FILES[0]) as file:
        _, rows, columns = struct.unpack(">4x3I", file.read(16))
    pairs = [("train", *shard_names(copy)) for copy in range(copies)] + [("test", *FILES[2:])]
    shards = "".join(
        f'\n[[{split}.shards]]\nimages.name = "{images}"\nlabels.name = "{labels}"\n' for split, images, labels in pairs
    )
    path = folder / f"mnist-{copies}x.toml"
    path.write_text(
        f'title = "MNIST, {copies} times"\nsource = "copies of MNIST, moved by up to {REACH} pixels"\n'
        f"shape = [{rows}, {columns}]\nclasses = {[str(digit) for digit in range(10)]}\n"
        f'mirrors = ["."]\n{shards}',
        encoding="utf-8",
    )
    return path
