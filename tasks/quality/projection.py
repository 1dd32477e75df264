"""
Images projected on a few directions, and looked up there: which may be near each other at all.

A projection on directions at right angles never lengthens a distance, so that what is near stays near.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
THRESHOLD = 7
"""Grey levels, root mean square over all values of an image: up to here two images are near."""
DIRECTIONS = 16
"""Directions that images are projected on."""
SAMPLE = 4000
"""Images that the directions are made from; they decide how fast the search is, and nothing else."""
WIDTH = 1024
"""Values of an image from which the directions are made; of a larger one the sums of runs of values are taken."""
GRID = 3
"""Directions that are cut into cells."""
UNIT = 2.0**-24
"""Half the distance of 1 to the next float32: the largest relative error of one rounding."""
ALONE = 1 << 18
"""Products of numbers up to which BLAS multiplies on the thread that calls it."""
ROUNDS = 3
"""Of subspace iteration."""
BLOCK = 1 << 20
"""Values of images in memory at once."""


class Images(Protocol):
    """What the search reads: uint8 (n, values), by slice and by rows, as of a memory-mapped file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many images, and how many values each has."""
        ...

    def __getitem__(self, rows: Any, /) -> npt.NDArray[np.uint8]:
        """Read some rows."""
        ...


def blocks_of(rows: int, values: int) -> Iterator[slice]:
    """Yield slices of so many rows of so many values, a block each."""
    step = max(1, BLOCK // max(1, values))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def reach_of(values: int, width: int, directions: int) -> float:
    """
    Return how far apart the projections of two near images can be, as float32 has them.

    Exactly they are at most 7 * sqrt(values) apart. A coordinate is a sum of `width` products, whose error is at most
    (width + 3) * 2^-24 times the lengths of both vectors (Higham, Accuracy and Stability, 3.1): 255 * sqrt(values) and
    1. So a vector of coordinates is off by the root of their number times that, and a difference by twice it. A
    hundred-thousandth more covers the directions' own rounding to float32 and that of the difference's length.
    """
    length = 255 * math.sqrt(values)
    return THRESHOLD * math.sqrt(values) * (1 + 1e-5) + 2 * math.sqrt(directions) * (width + 3) * UNIT * length


def multiply(one: Values, other: Values) -> Values:
    """
    Return one @ other.T on this thread alone: float32 (n, m).

    In tiles so small that BLAS starts no threads: theirs wait for each other by spinning, and on a busy machine the
    search takes four times as long.

    Args: one: float32 (n, depth).  other: float32 (m, depth).
    """
    depth = min(WIDTH, one.shape[1])
    side = math.isqrt(ALONE // depth)
    tiles = [-(-len(each) // side) for each in (one, other)]
    found = np.zeros((*tiles, side, side), np.float32)
    for start in range(0, one.shape[1], depth):
        left, right = (_tiled(each[:, start : start + depth], side) for each in (one, other))
        found += np.matmul(left[:, None], right[None].swapaxes(-1, -2))
    return found.transpose(0, 2, 1, 3).reshape(tiles[0] * side, -1)[: len(one), : len(other)]


def _tiled(values: Values, side: int) -> Values:
    return np.pad(values, ((0, -len(values) % side), (0, 0))).reshape(-1, side, values.shape[1])


def pool(block: npt.NDArray[np.uint8], run: int) -> Values:
    """
    Add runs of values up, over the root of the run's length: a projection on directions at right angles as well.

    Sums of up to 65,793 values are exact in float32.
    """
    if run == 1:
        return block.astype(np.float32)
    sums = np.add.reduceat(block, np.arange(0, block.shape[1], run), axis=1, dtype=np.float32)
    return np.asarray(sums / np.float32(math.sqrt(run)), np.float32)


def find_directions(images: Images, rows: Places, run: int) -> Values:
    """
    Return directions at right angles in which some images vary much, the most in the first: float32 (16, width).

    Nearly the principal components, of at most 4,000 evenly chosen rows, by a few rounds of subspace iteration (Golub
    and Van Loan, Matrix Computations, 8.2.4). Which they are decides how fast the search is, and nothing else. Of few
    images or values there are fewer.
    """
    chosen = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)]
    parts = [pool(images[chosen[block]], run) for block in blocks_of(len(chosen), images.shape[1])]
    values = np.concatenate(parts)
    values -= values.mean(axis=0)
    across = np.ascontiguousarray(values.T)
    begin = np.linspace(0, len(values) - 1, min(2 * DIRECTIONS, len(values))).astype(np.int64)
    basis = np.linalg.qr(across[:, begin].astype(np.float64))[0]
    for _ in range(ROUNDS):
        along = multiply(values, np.ascontiguousarray(basis.T, np.float32))
        basis = np.linalg.qr(multiply(across, np.ascontiguousarray(along.T)).astype(np.float64))[0]
    along = multiply(values, np.ascontiguousarray(basis.T, np.float32)).astype(np.float64)
    _, turns = np.linalg.eigh(np.einsum("ij,ik->jk", along, along))
    return np.ascontiguousarray((basis @ turns[:, ::-1][:, :DIRECTIONS]).T, np.float32)


def project(images: Images, rows: Places, directions: Values, run: int) -> Values:
    """Return the coordinates of some images along each direction: float32 (rows, directions)."""
    found = np.empty((len(rows), len(directions)), np.float32)
    by_row = np.sort(rows)  # as they lie on the disk
    for block in blocks_of(len(rows), images.shape[1]):
        found[block] = multiply(pool(images[by_row[block]], run), directions)
    return found[np.argsort(np.argsort(rows))]


class Grid:
    """
    Points in cells as wide as the reach, along the first directions; within a cell ascending along the next one.

    What lies within reach of a point is in its own or a neighbouring cell, there in one run of the sorted points.

    Args: coordinates: float32 (n, directions).
    Attributes: order: int64 (n,), the points as they are sorted.
    """

    def __init__(self, coordinates: Values, reach: float) -> None:
        cut = min(GRID, coordinates.shape[1] - 1)
        width = reach * (1 + 1e-6)  # more than what float64 rounds
        scaled = (coordinates[:, : cut + 1].astype(np.float64) - coordinates[:, : cut + 1].min(axis=0)) / width
        cells = np.floor(scaled[:, :cut]).astype(np.int64) + 1
        sides = cells.max(axis=0, initial=0) + 2
        steps = np.cumprod(np.concatenate([[1], sides[::-1]]))[::-1][1:].astype(np.int64)
        line = (scaled[:, cut] * 2**20).astype(np.int64)  # at most 2 * 255 / 7 widths: below 2^27
        keys = ((cells @ steps) << 32) + line if cut else line
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]
        offsets = [np.array(one, np.int64) @ steps for one in product((-1, 0, 1), repeat=cut)] if cut else [0]
        self.offsets = sorted(int(offset) for offset in offsets if offset > 0)

    def runs(self, points: slice) -> tuple[Places, Places]:
        """
        Return where, among the sorted points, those lie that may be within reach of some of them, and come later.

        Returns: int64 (points, cells), the first and the one behind the last.
        """
        cell, line = self.keys[points] >> 32 << 32, self.keys[points] & 0xFFFFFFFF
        low, high = np.maximum(line - 2**20 - 2, 0), line + 2**20 + 2
        shifts = [np.int64(offset) << 32 for offset in self.offsets]
        starts = [
            np.arange(points.start, points.stop) + 1,
            *(np.searchsorted(self.keys, cell + s + low) for s in shifts),
        ]
        stops = [np.searchsorted(self.keys, cell + s + high, side="right") for s in (np.int64(0), *shifts)]
        return np.stack(starts, axis=1), np.stack(stops, axis=1)
