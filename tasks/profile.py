"""The profile of images, a row an image; exact sums over their pixels; and which of them are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.image_table import Batch
from schemas.statistics import SHOWN, DuplicateGroup

BLOCK = 1 << 18
"""Pixels that are worked on at once, so that intermediate arrays stay in the processor's cache."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: the usual multiplier of a multiplicative hash (Knuth, TAOCP 3, 6.4)."""


class Profile(NamedTuple):
    """
    The profile of n images, one value an image.

    Args:
        sample_id: uint32.
        label:     uint16, class index.
        minimum:   uint8, 0 to 255, as are maximum and mean.
        maximum:   uint8.
        mean:      float32.
        ink:       float32, share of pixels that are not 0, 0 to 1.
        digest:    uint64, hash of the pixels.
    """

    sample_id: npt.NDArray[np.uint32]
    label: npt.NDArray[np.uint16]
    minimum: npt.NDArray[np.uint8]
    maximum: npt.NDArray[np.uint8]
    mean: npt.NDArray[np.float32]
    ink: npt.NDArray[np.float32]
    digest: npt.NDArray[np.uint64]


PROFILE_TYPES = {
    "sample_id": "uint32",
    "label": "uint16",
    "minimum": "uint8",
    "maximum": "uint8",
    "mean": "float32",
    "ink": "float32",
    "digest": "uint64",
}
"""Columns of `profile.parquet`, by Arrow's names; none has nulls."""


@dataclass(frozen=True)
class Moments:
    """Exact sums over all raw pixels of some images: of the values, of their squares, and of those that are not 0."""

    sum: int = 0
    sum_of_squares: int = 0
    inked: int = 0

    def __add__(self, other: Moments) -> Moments:
        """Return the sums over the images of both."""
        return Moments(self.sum + other.sum, self.sum_of_squares + other.sum_of_squares, self.inked + other.inked)


def profile_images(batch: Batch) -> tuple[Profile, Moments]:
    """Return the profile of a batch of at least one image, and the sums over its pixels."""
    pixels = batch.image.shape[1]
    parts = [
        (
            image.min(axis=1),
            image.max(axis=1),
            image.sum(axis=1, dtype=np.uint32),
            (image != 0).sum(axis=1, dtype=np.uint32),
            digest_images(image),
        )
        for image in blocks(batch.image)
    ]
    minimum, maximum, total, inked, digest = (np.concatenate(column) for column in zip(*parts, strict=True))
    mean, ink = (total / pixels).astype(np.float32), (inked / pixels).astype(np.float32)
    return (
        Profile(batch.sample_id, batch.label, minimum, maximum, mean, ink, digest),
        Moments(int(total.sum(dtype=np.uint64)), sum_of_squares(batch.image), int(inked.sum(dtype=np.uint64))),
    )


def read_column(profile: Path, name: str) -> npt.NDArray[Any]:
    """Read one column of a `profile.parquet`, a value an image: a column is small where the whole is not."""
    import pyarrow.parquet as pq

    values: npt.NDArray[Any] = pq.read_table(profile, columns=[name])[name].to_numpy()
    return values


def blocks(image: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield an (n, pixels) array in blocks of at most 65,536 rows; uint32 holds the sum of so many squares of bytes."""
    rows = min(max(1, BLOCK // image.shape[1]), 1 << 16)
    return (image[start : start + rows] for start in range(0, len(image), rows))


def sum_of_squares(image: npt.NDArray[np.uint8]) -> int:
    """Return the exact sum of the squares of all pixels."""
    wide = (block.astype(np.uint32) for block in blocks(image))
    return sum(int(np.einsum("ij,ij->j", block, block).sum(dtype=np.uint64)) for block in wide)


def digest_images(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """
    Hash each row of a uint8 (n, pixels) array to 64 bits; the same on every machine, not cryptographic.

    The sum over little-endian words w_i of mix(mix(w_i) * GOLDEN^(i+1)) modulo 2^64, where mix folds the upper
    half of a word into the lower: without it, images that differ in few high bytes would often collide.
    """
    short = -image.shape[1] % 8
    words = np.ascontiguousarray(np.pad(image, ((0, 0), (0, short))) if short else image).view("<u8")
    mixed = (words ^ (words >> np.uint64(32))) * np.cumprod(np.full(words.shape[1], GOLDEN))
    mixed ^= mixed >> np.uint64(32)
    digest: npt.NDArray[np.uint64] = mixed.sum(axis=1, dtype=np.uint64)
    return digest


def find_duplicates(digest: npt.NDArray[np.uint64], batches: Iterable[Batch]) -> list[DuplicateGroup]:
    """
    Return the groups of images with the same pixels, in the order of their first images.

    Args:
        digest:  uint64 (n,), of every image of the split.
        batches: the split again, read only if two digests are equal; then pixels decide. What is kept is one copy
                 of each image that occurs more than once.
    """
    ordered = np.sort(digest)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return []
    groups: dict[bytes, list[tuple[int, int]]] = {}
    start = 0
    for batch in batches:
        for row in np.flatnonzero(np.isin(digest[start : start + len(batch.label)], twice)):
            groups.setdefault(batch.image[row].tobytes(), []).append((start + int(row), int(batch.label[row])))
        start += len(batch.label)
    return [
        DuplicateGroup(
            images=len(group),
            sample_ids=tuple(row for row, _ in group[:SHOWN]),
            labels=tuple(sorted({label for _, label in group})),
        )
        for group in groups.values()
        if len(group) > 1
    ]
