"""
Which images are the same, in a split and in two of them: by 64-bit digests first, then by SHA-256.

What is in memory does not grow with the images, but for 36 bytes per digest that occurs more than once, however often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.image_table import ImageTable
from schemas.results import SHOWN, DuplicateGroup
from tasks.quality.profile import BLOCK, Profiles, count_rows, files_of, read_parts

if TYPE_CHECKING:
    import pyarrow.parquet as pq


Digests = npt.NDArray[np.uint64]
Tables = ImageTable | Sequence[Callable[[], ImageTable]]
"""A split's table; or what opens that of each part, in the order of the files of the split's profile."""
BAND = 1 << 21
"""Digests that are sorted at once, or few more. For each band all of them are read again, at 5 ns per image."""
NAME = 16
"""Bytes of its SHA-256 that an image goes by: two images that agree in them have never been found."""


@dataclass(frozen=True)
class Duplicates:
    """
    The images of a split that occur more than once, in groups of the same pixels.

    Args:
        groups: how many groups.
        torn:   how many of them have different labels.
        images: how many images in all of them.
        shown:  the first 20 groups, by their first image.
    """

    groups: int
    torn: int
    images: int
    shown: tuple[DuplicateGroup, ...]


class Copies(NamedTuple):
    """
    Images that may be copies of others, one value per image.

    Args:
        row:   int64, of the split.
        label: uint16.
        slot:  int64, the place of its digest among those that are asked about.
        name:  uint64 (n, 2), of its SHA-256.
    """

    row: npt.NDArray[np.int64]
    label: npt.NDArray[np.uint16]
    slot: npt.NDArray[np.int64]
    name: npt.NDArray[np.uint64]

    def take(self, which: npt.NDArray[Any]) -> Copies:
        """Return some of them, by mask or by place."""
        return Copies(*(column[which] for column in self))


class Layer:
    """An image a slot, the first that came, and what its copies are; as structure of arrays."""

    def __init__(self, slots: int) -> None:
        self.first, self.images = np.zeros(slots, np.uint32), np.zeros(slots, np.uint32)
        self.lowest, self.highest = np.full(slots, 2**16 - 1, np.uint16), np.zeros(slots, np.uint16)
        self.name = np.zeros((slots, NAME // 8), np.uint64)

    def add(self, copies: Copies) -> Copies:
        """Count copies. Returns: those that have the digest of their slot's image, and not its name."""
        slots, place = np.unique(copies.slot, return_index=True)
        new, place = slots[self.images[slots] == 0], place[self.images[slots] == 0]
        self.first[new], self.name[new] = copies.row[place], copies.name[place]
        same = (self.name[copies.slot] == copies.name).all(axis=1)
        slot, label = copies.slot[same], copies.label[same]
        np.add.at(self.images, slot, 1)
        np.minimum.at(self.lowest, slot, label)
        np.maximum.at(self.highest, slot, label)
        return copies.take(~same)


def find_duplicates(profile: Profiles, table: Tables) -> Duplicates:
    """
    Find the images of a split that occur more than once.

    The same are images with one digest and one name, the first 128 bits of the SHA-256 of their pixels.

    Args:
        profile: its profile.
        table:   the split itself, of which only row groups with a digest that occurs more than once are read, and only
                 parts with such a row group opened.
    """
    repeated = repeated_digests(profile)
    layers = list[Layer]()
    for copies in find_copies(repeated, profile, table):
        rest, depth = copies, 0
        while len(rest.row):  # a second time only where two images have one digest
            layers += [Layer(len(repeated))] if depth == len(layers) else []
            rest, depth = layers[depth].add(rest), depth + 1
    several = [(layer, np.flatnonzero(layer.images > 1)) for layer in layers]
    first = [
        (int(layer.first[slot]), repeated[slot], layer.name[slot])
        for layer, slots in several
        for slot in slots[np.argsort(layer.first[slots])[:SHOWN]]
    ]
    first.sort(key=lambda group: group[0])
    return Duplicates(
        groups=sum(len(slots) for _, slots in several),
        torn=sum(int((layer.lowest < layer.highest)[slots].sum()) for layer, slots in several),
        images=sum(int(layer.images[slots].sum()) for layer, slots in several),
        shown=show([group[1:] for group in first[:SHOWN]], profile, table),
    )


def show(groups: list[tuple[np.uint64, Digests]], profile: Profiles, table: Tables) -> tuple[DuplicateGroup, ...]:
    """Describe some groups, each given by digest and name."""
    digests = np.unique(np.array([digest for digest, _ in groups], np.uint64))
    images, ids = [0] * len(groups), [list[int]() for _ in groups]
    labels = [set[int]() for _ in groups]
    for copies in find_copies(digests, profile, table):
        for number, (digest, name) in enumerate(groups):
            its = copies.take((digests[copies.slot] == digest) & (copies.name == name).all(axis=1))
            images[number] += len(its.row)
            ids[number] += its.row[: SHOWN - len(ids[number])].tolist()
            labels[number] |= set(np.unique(its.label).tolist())
    return tuple(
        DuplicateGroup(images=count, sample_ids=tuple(rows), labels=tuple(sorted(kinds)))
        for count, rows, kinds in zip(images, ids, labels, strict=True)
    )


def find_shared(train: Profiles, other: Profiles) -> tuple[int, tuple[int, ...]]:
    """Go by digests for images of `other` that `train` has as well. Returns: how many, and the ids of the first 20."""
    count, first = 0, list[int]()
    for low, high in bands(count_rows(other)):  # mostly the fewer ones: those of train, often many files, are read once
        asked = read_band(other, low, high, 1)
        seen = np.zeros(len(asked), bool)
        for digest in read_parts(train, "digest"):
            seen |= look_up(asked, np.sort(digest))[1]  # to look each up in `asked` takes ten times as long
        known, start = asked[seen], 0
        for digest in read_parts(other, "digest"):
            rows = np.flatnonzero((low <= digest) & (digest <= high))
            shared = start + rows[look_up(digest[rows], known)[1]]
            count, first = count + len(shared), sorted([*first, *shared[:SHOWN].tolist()])[:SHOWN]
            start += len(digest)
    return count, tuple(first)


def bands(images: int) -> Iterator[tuple[np.uint64, np.uint64]]:
    """Yield the lowest and the highest digest of each band, ascending, of as many bands as so many images take."""
    count = max(1, -(-images // BAND))
    edges = [2**64 * band // count for band in range(count + 1)]
    return ((np.uint64(low), np.uint64(high - 1)) for low, high in pairwise(edges))


def read_band(profile: Profiles, low: np.uint64, high: np.uint64, most: int) -> Digests:
    """Read the digests from `low` to `high`, ascending, each `most` times at most."""
    held, waiting = list[Digests](), 0
    for digest in read_parts(profile, "digest"):
        held.append(digest[(low <= digest) & (digest <= high)])
        waiting += len(held[-1])
        if waiting > 2 * BAND:  # as of a million equal images
            held = [_thin(held, most)]
            waiting = len(held[0])
    return _thin(held, most)


def _thin(parts: list[Digests], most: int) -> Digests:
    digest = np.concatenate([np.empty(0, np.uint64), *parts])
    digest.sort()
    kept = np.ones(len(digest), bool)
    kept[most:] = digest[most:] != digest[:-most]
    return digest if kept.all() else digest[kept]


def repeated_digests(profile: Profiles) -> Digests:
    """Return the digests that occur more than once, ascending."""
    found = []
    for low, high in bands(count_rows(profile)):
        digest = read_band(profile, low, high, 2)
        found.append(digest[1:][digest[1:] == digest[:-1]])
    return np.concatenate(found)


def look_up(digest: Digests, known: Digests) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return for each digest its place among the known ones, which ascend, and whether it is one of them."""
    if not len(known):
        return np.zeros(len(digest), np.int64), np.zeros(len(digest), bool)
    # Not np.isin: its hash table of 6 million digests takes 6 s, sorting them 0.04 s.
    place = np.minimum(np.searchsorted(known, digest), len(known) - 1)
    return place, known[place] == digest


def find_copies(digests: Digests, profile: Profiles, table: Tables) -> Iterator[Copies]:
    """Yield, row group by row group, the images of a split that have one of some digests, which ascend."""
    if not len(digests):
        return
    if isinstance(table, ImageTable):
        yield from _copies_in(digests, profile, table, 0)
        return
    start = 0
    for part, opened in zip(files_of(profile), table, strict=True):
        if any(look_up(digest, digests)[1].any() for digest in read_parts(part, "digest")):
            yield from _copies_in(digests, part, opened(), start)
        start += count_rows(part)


def _copies_in(digests: Digests, profile: Profiles, table: ImageTable, start: int) -> Iterator[Copies]:
    """Yield the same of a table. Args: start: its first row in the split."""
    for group, digest in enumerate(recut(read_parts(profile, "digest"), table.group_sizes)):
        place, known = look_up(digest, digests)
        if known.any():
            batch, row = table.group(group), np.flatnonzero(known)
            yield Copies(start + row, batch.label[row], place[row], name_images(batch.image, row, place[row]))
        start += len(digest)


def recut(parts: Iterable[Digests], sizes: Iterable[int]) -> Iterator[Digests]:
    """Cut consecutive parts of one column into other sizes."""
    more, held = iter(parts), np.empty(0, np.uint64)
    for size in sizes:
        while len(held) < size:
            held = np.concatenate([held, next(more)])
        yield held[:size]
        held = held[size:]


def name_images(image: npt.NDArray[np.uint8], row: npt.NDArray[np.int64], slot: npt.NDArray[np.int64]) -> Digests:
    """
    Name some rows of a uint8 (n, pixels) array by the first 128 bits of the SHA-256 of their pixels: uint64 (rows, 2).

    Rows of one slot, which most likely are the same, are compared, and only the first of them is hashed.
    """
    _, first, back = np.unique(slot, return_index=True, return_inverse=True)
    source, step = row[first[back]], max(1, BLOCK // image.shape[1])
    for start in range(0, len(row), step):
        here, there = row[start : start + step], source[start : start + step]
        other = (here != there) & (image[here] != image[there]).any(axis=1)
        there[other] = here[other]
    distinct, back = np.unique(source, return_inverse=True)
    names = b"".join(hashlib.sha256(image[each]).digest()[:NAME] for each in distinct)
    return np.frombuffer(names, "<u8").reshape(-1, NAME // 8)[back]


class Leak(NamedTuple):
    """The test images whose pixels occur in the train split: how many, and how many of them are named right."""

    images: int
    right: int


def find_leak(train: Profiles, test: Profiles, predictions: Path) -> Leak:
    """
    Go by the digests of pixels for test images that occur in the train split, all of them.

    Args:
        train, test: their profiles.
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
