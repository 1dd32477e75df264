"""Exact sums over raw pixels, from which the normaliser follows: those of parts add up to those of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.quality.profile import blocks, sum_of_squares, widen


@dataclass(frozen=True)
class PixelSums:
    """
    Exact sums over raw images, 0 to 255. Those of two parts add up to those of the whole, in whatever order.

    Args:
        samples: images.
        columns: int64 (values,), sum over the images of each pixel, in colour of each channel of it.
        squares: sum of the squares of all values.
    """

    samples: int
    columns: npt.NDArray[np.int64]
    squares: int

    @classmethod
    def of(cls, image: npt.NDArray[np.uint8]) -> PixelSums:
        """Sum a uint8 (n, pixels) array."""
        columns, squares = np.zeros(image.shape[1], np.int64), 0
        for wide in map(widen, blocks(image)):
            columns += wide.sum(axis=0).astype(np.int64)
            squares += sum_of_squares(wide)
        return cls(len(image), columns, squares)

    def __add__(self, other: PixelSums) -> PixelSums:
        """Return the sums over the images of both."""
        return PixelSums(self.samples + other.samples, self.columns + other.columns, self.squares + other.squares)

    @property
    def sum(self) -> int:
        """Sum of all pixels."""
        return int(self.columns.sum())

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """The mean image of the scaled pixels: float64 (pixels,), in [-1, 1], each 2 (c/n) / 255 - 1 rounded once."""
        whole = 255 * self.samples
        mean: npt.NDArray[np.float64] = (2 * self.columns - whole) / whole
        return mean

    @property
    def std(self) -> float:
        """
        One population standard deviation of all scaled pixels, in [0, 1]: (2/255) sqrt(q/N - (sum c / N)^2).

        The difference is taken between integers, where a float64 would lose what two near values differ by.
        """
        pixels = self.samples * len(self.columns)
        return 2 / 255 * math.sqrt((pixels * self.squares - self.sum**2) / pixels**2)


def merge(parts: Iterable[PixelSums], pixels: int) -> PixelSums:
    """Add up the sums of any number of parts, none included."""
    return sum(parts, PixelSums(0, np.zeros(pixels, np.int64), 0))
