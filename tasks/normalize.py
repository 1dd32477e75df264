"""Normalize: fit the mean image and the one standard deviation that the network subtracts and divides by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.content import array_content
from schemas.counts import counted
from schemas.errors import InvalidData
from schemas.image_table import TABLE, ImageTable
from schemas.model import MEAN, NORMALIZER, NormalizerFacts
from schemas.parameters import Summary
from schemas.results import STATISTICS, Statistics
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


def normalize_pixels(raw: npt.NDArray[np.uint8], mean: npt.NDArray[np.float64], std: float) -> npt.NDArray[np.float32]:
    """
    Normalise raw pixels as the tutorial does: scale to [-1, 1], take the mean image off, divide by one deviation.

    ((raw / 255 - 0.5) * 2 - mean) / std, each operation in float64 and in this order, the result rounded once to
    float32. Only 256 values are scaled; the rest looks them up, bit for bit the same.

    Args:
        raw:  uint8 (n, pixels).
        mean: float64 (pixels,), in [-1, 1].
        std:  above 0.
    Returns:  float32 (n, pixels).
    """
    scaled = (np.arange(256) / 255 - 0.5) * 2
    return ((scaled[raw] - mean) / std).astype(np.float32)


def fit_normalizer(table: ImageTable, statistics: Statistics) -> tuple[NormalizerFacts, npt.NDArray[np.float64]]:
    """
    Fit the normaliser to a table, row group by row group.

    Args:    statistics: of the validated table; its sums and number of images have to be the ones found here.
    Returns: the facts, and the mean image: float64 (pixels,), in [-1, 1].
    Raises:  InvalidData: the statistics are not this table's, or all pixels are equal.
    """
    sums = merge((PixelSums.of(batch.image) for batch in table.batches()), table.pixels)
    subject = f"the {table.metadata.split} table"
    validated = statistics.samples, statistics.sum, statistics.sum_of_squares
    found = sums.samples, sums.sum, sums.squares
    if found != validated:

        def text(samples: int, total: int, squares: int) -> str:
            return f"{counted(samples, 'image')}, pixel sum {total}, sum of squares {squares}"

        raise InvalidData(
            subject,
            expected=f"{text(*validated)}, as validated",
            found=text(*found),
            way_out="Run `idxflow run --refresh validate` to validate this table.",
        )
    if sums.std == 0:
        raise InvalidData(
            subject,
            expected="pixels that differ",
            found=f"{counted(sums.samples, 'image')} whose pixels are all {statistics.minimum}",
            way_out="There is nothing to learn from them: check the image files of the train split.",
        )
    facts = NormalizerFacts(
        samples=sums.samples, shape=table.metadata.shape, sum=sums.sum, sum_of_squares=sums.squares, std=sums.std
    )
    return facts, sums.mean


class NormalizeSummary(Summary):
    """The fitted normaliser, briefly; on the scale of [-1, 1]."""

    samples: int
    mean: float
    std: float


@stage()
def normalize(table: Ref, profile: Ref, out: Path) -> NormalizeSummary:
    """
    Fit the normaliser to the train table.

    `profile` is the proof that this table was validated: it makes validate come first, and its sums are compared
    with those found here. Nothing else is taken from it.
    """
    statistics = Statistics.model_validate_json(profile.file(STATISTICS).read_bytes())
    facts, mean = fit_normalizer(ImageTable(table.file(TABLE)), statistics)
    (out / NORMALIZER).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    np.save(out / MEAN, mean, allow_pickle=False)
    return NormalizeSummary(
        content={MEAN: array_content(mean)}, samples=facts.samples, mean=float(mean.mean()), std=facts.std
    )
