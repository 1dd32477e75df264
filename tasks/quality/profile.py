"""The profile of images, one row per image, and exact sums over their pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.arrays import numbers
from schemas.image_spec import GREY
from schemas.image_table import Batch

Profiles = Path | Sequence[Path]
"""The `profile.parquet` of a split, or those of its parts, in their order: together they are its profile."""
BLOCK = 1 << 19
"""Pixels that are worked on at once, so that intermediate arrays stay in the processor's cache."""
RUN = 256
"""Bytes whose squares float32 adds up exactly: 256 * 255^2 is below 2^24."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: the usual multiplier of a multiplicative hash (Knuth, TAOCP 3, 6.4)."""


class Profile(NamedTuple):
    """
    The profile of n images, one value per image.

    Args:
        sample_id: uint32.
        label:     uint16, class index.
        minimum:   uint8, 0 to 255, as are maximum and mean; in colour each is over all three channels.
        maximum:   uint8.
        mean:      float32.
        ink:       float32, share of pixels that are not 0, 0 to 1; in colour 0 is black: all three channels.
        spread:    uint8, largest difference of two pixels, in colour in one channel: 0 where all pixels are equal.
        digest:    uint64, hash of the pixels.
    """

    sample_id: npt.NDArray[np.uint32]
    label: npt.NDArray[np.uint16]
    minimum: npt.NDArray[np.uint8]
    maximum: npt.NDArray[np.uint8]
    mean: npt.NDArray[np.float32]
    ink: npt.NDArray[np.float32]
    spread: npt.NDArray[np.uint8]
    digest: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Moments:
    """
    Exact sums over some raw images: of their values, and of the squares, over all channels; of pixels that are not 0.
    """

    sum: int = 0
    sum_of_squares: int = 0
    inked: int = 0

    def __add__(self, other: Moments) -> Moments:
        """Return the sums over the images of both."""
        return Moments(self.sum + other.sum, self.sum_of_squares + other.sum_of_squares, self.inked + other.inked)


def profile_images(batch: Batch, channels: int = GREY) -> tuple[Profile, Moments]:
    """Return the profile of a batch of at least one image, and the sums over its pixels, of so many channels each."""
    values = batch.image.shape[1]
    parts, squares = [], 0
    for image in blocks(batch.image):
        wide = widen(image)
        # einsum and short dot products run on this thread alone. A matrix product would start BLAS's threads, which
        # wait for each other by spinning: on a busy machine that takes ten times as long.
        total = np.einsum("ij->i", wide).astype(np.float64)
        low, high = image.min(axis=1), image.max(axis=1)
        spread = high - low if channels == GREY else measure_spread(image, channels)
        parts.append((low, high, total, count_ink(image, channels), spread, digest_images(image)))
        squares += sum_of_squares(wide)
    minimum, maximum, total, inked, spread, digest = (np.concatenate(column) for column in zip(*parts, strict=True))
    mean, ink = (total / values).astype(np.float32), (inked / (values // channels)).astype(np.float32)
    return (
        Profile(batch.sample_id, batch.label, minimum, maximum, mean, ink, spread, digest),
        Moments(int(total.sum()), squares, int(inked.sum(dtype=np.uint64))),
    )


def gather(parts: Iterable[tuple[Profile, Moments]], rows: int) -> Iterator[tuple[Profile, Moments]]:
    """Join the profiles of consecutive batches, each time until there are `rows` images or more."""
    held, waiting = list[tuple[Profile, Moments]](), 0
    for part in parts:
        held.append(part)
        waiting += len(part[0].label)
        if waiting >= rows:
            yield _join(held)
            held, waiting = [], 0
    if held:
        yield _join(held)


def _join(parts: list[tuple[Profile, Moments]]) -> tuple[Profile, Moments]:
    columns = zip(*(profile for profile, _ in parts), strict=True)
    return Profile(*map(np.concatenate, columns)), sum((sums for _, sums in parts), Moments())


def files_of(profile: Profiles) -> tuple[Path, ...]:
    """Return the files of a profile, in their order."""
    return (profile,) if isinstance(profile, Path) else tuple(profile)


def count_rows(profile: Profiles) -> int:
    """Return the number of images of a profile."""
    import pyarrow.parquet as pq

    return sum(int(pq.read_metadata(file).num_rows) for file in files_of(profile))


def read_parts(profile: Profiles, name: str) -> Iterator[npt.NDArray[Any]]:
    """Read one column of a profile block by block, one value per image: each row group of each file is a block."""
    import pyarrow.parquet as pq

    # Not pq.read_table, which looks for a data set of many files first.
    for path in files_of(profile):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield numbers(file.read_row_group(group, [name])[name])


def read_column(profile: Profiles, name: str) -> npt.NDArray[Any]:
    """Read one column of a profile, of at least one image, as a whole, into memory of one's own."""
    parts = read_parts(profile, name)
    first = next(parts)
    values = np.empty(count_rows(profile), first.dtype)
    start = 0
    for part in chain([first], parts):  # not all at once, and then joined
        values[start : start + len(part)] = part
        start += len(part)
    return values


def blocks(image: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield an (n, pixels) array in blocks of at most 65,536 rows: `widen` makes float32 of them where it can."""
    rows = min(max(1, BLOCK // image.shape[1]), 1 << 16)
    return (image[start : start + rows] for start in range(0, len(image), rows))


def widen(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating[Any]]:
    """
    Return a block of pixels as floats that add up each row and each column exactly, in whatever order.

    Floats are added without the conversion, byte by byte, that adding bytes takes. Every integer up to 2^24 is a
    float32, and every one up to 2^53 a float64, which images of more than 65,793 pixels take.
    """
    return image.astype(np.float32 if 255 * max(image.shape) <= 2**24 else np.float64)


def sum_of_squares(wide: npt.NDArray[np.floating[Any]]) -> int:
    """Return the exact sum of the squares of all pixels of a widened block: of runs in its type, then in float64."""
    flat = wide.ravel()
    whole = len(flat) // RUN * RUN
    runs, rest = flat[:whole].reshape(-1, RUN), flat[whole:]
    return int(np.vecdot(runs, runs).sum(dtype=np.float64)) + int(np.vecdot(rest, rest))


def as_words(image: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Return an (n, pixels) array of bytes as little-endian words, uint64 (n, pixels / 8), rows filled up with 0."""
    short = -image.shape[1] % 8
    return np.ascontiguousarray(np.pad(image, ((0, 0), (0, short))) if short else image).view("<u8")


def measure_spread(image: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """Return the largest difference of two pixels of each row in any of the channels: uint8 (n,)."""
    lanes = [image[:, channel::channels] for channel in range(channels)]
    spread: npt.NDArray[np.uint8] = np.max([lane.max(axis=1) - lane.min(axis=1) for lane in lanes], axis=0)
    return spread


def count_ink(image: npt.NDArray[np.uint8], channels: int = GREY) -> npt.NDArray[np.uint32]:
    """Count the pixels of each row that are not 0, in all of their channels: uint32 (n,)."""
    marked = image != 0
    if channels != GREY:
        marked = np.logical_or.reduce([marked[:, channel::channels] for channel in range(channels)])
    marks = as_words(marked)
    # Eight counts in a word, a byte each: they hold the sum of 255 words.
    counts = np.add.reduceat(marks, range(0, marks.shape[1], 255), axis=1)
    ink: npt.NDArray[np.uint32] = counts.view(np.uint8).sum(axis=1, dtype=np.uint32)
    return ink


def digest_images(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """
    Hash each row of a uint8 (n, pixels) array to 64 bits; the same on every machine, not cryptographic.

    The sum over little-endian words w_i of mix(mix(w_i) * GOLDEN^(i+1)) modulo 2^64, where mix folds the upper
    half of a word into the lower: without it, images that differ in few high bytes would often collide.
    """
    return np.concatenate([np.empty(0, np.uint64), *map(_digest_block, blocks(image))])


def _digest_block(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    words = as_words(image)
    mixed = (words ^ (words >> np.uint64(32))) * np.cumprod(np.full(words.shape[1], GOLDEN))
    mixed ^= mixed >> np.uint64(32)
    digest: npt.NDArray[np.uint64] = mixed.sum(axis=1, dtype=np.uint64)
    return digest
