"""
Deal groups of copies out to train, held-out and test rows, so that an added image hardly moves any other.

Every group lies somewhere on a line, by a number drawn from its digest, and has a mark. Of each class the first group
is tested, the last one is trained on, and the first in the second half of the line is held out. All others are dealt
out each by itself: tested, held out or trained on by another number drawn from its digest, in proportion to the
fractions. So every class is tested and trained on where it has two groups, nearly every one is held out where it has
three, and the shares are met on average: of n images, a fraction f is met to about sqrt(n f (1 - f)) images.

An image that is added, equal and near to none, has a group of its own. It draws no number for any other group. It takes
over one mark at most, as it is the first, the last, or the first in the second half: only the group that had the mark
is then dealt out as the others are. So one other group of its class at most moves between train, held-out and test.

`stratify.choose` meets the fractions more closely, and cannot promise that: where it takes the lowest ranks, one image
too many moves whenever a second boundary lies among them. With ranks for the test split and numbers for the held-out
rows two would still move, where the split grows and another image becomes the only one that is left to train on.

An added copy belongs to a group. That moves with it where its digest, the smallest in it, or the class of most of its
rows becomes another one; of groups that it joins all go where the joined one does. Each such group gives up its marks
and the joined one takes marks: so of each class that they have, one other group a group that it joins may move, and one
more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.errors import BadTable
from tasks.fitting.stratify import Digests, Labels, Mask, mix

Marks = npt.NDArray[np.uint8]
FREE, FIRST, LAST, MIDDLE = range(4)
"""Marks: dealt out by itself, tested, trained on, held out."""
GROUPS = "groups.parquet"
"""What the stage `group` leaves: split, row, label, digest, group and mark of each image."""
TRAIN = "train"
"""The split whose rows are dealt out, as it stands in that file."""
PLACE = 2**32 + 1
"""Seed of the line, beyond those of training and of the cut."""
CUT = 2**32
"""Seed of what is tested: a set is always cut in the same way."""
HALF = np.uint64(2**63)


@dataclass(frozen=True, eq=False)
class Deal:
    """
    How the images of a set are dealt out.

    Args:
        digests: uint64 (n,), of different images, ascending.
        groups:  uint64 (n,), the digest of each one's group.
        marks:   uint8 (n,), the mark of each one's group.
    """

    digests: Digests
    groups: Digests
    marks: Marks

    @classmethod
    def of(cls, digests: Digests, groups: Digests, marks: Marks) -> Deal:
        """Keep each image once. Args: of all rows, in any order; equal digests have one group and mark."""
        known, first = np.unique(digests, return_index=True)
        return cls(known, groups[first], marks[first])

    def tested(self, digests: Digests, fraction: float) -> Mask:
        """Say which images a test split takes. Args: fraction: above 0, below 1. Returns: bool (n,)."""
        groups, marks = self._look_up(digests)
        tested: Mask = (marks == FIRST) | ((marks == FREE) & _drawn(groups, fraction, CUT))
        return tested

    def held(self, digests: Digests, fraction: float, seed: int) -> Mask:
        """
        Say which images of a train split are held out.

        Args:    fraction: 0 or more, below 1; of nothing nothing is held out.  seed: of the training, below 2^32.
        Returns: bool (n,).
        """
        groups, marks = self._look_up(digests)
        if not fraction:
            return np.zeros(len(digests), bool)
        held: Mask = (marks == MIDDLE) | ((marks != LAST) & _drawn(groups, fraction, seed))
        return held

    def groups_of(self, digests: Digests) -> Digests:
        """Return the digest of each image's group: uint64 (n,)."""
        return self._look_up(digests)[0]

    def _look_up(self, digests: Digests) -> tuple[Digests, Marks]:
        place = np.minimum(np.searchsorted(self.digests, digests), max(0, len(self.digests) - 1))
        if len(digests) and not (len(self.digests) and (self.digests[place] == digests).all()):
            raise BadTable(
                "groups of copies",
                expected="a group for every image",
                found="images without one",
                way_out="Run again with `--refresh group`.",
            )
        return self.groups[place], self.marks[place]


def mark_groups(labels: Labels, groups: Digests) -> Marks:
    """
    Mark the groups of a set that is to be dealt out.

    A group is of the class of most of its rows, of the first one if two have as many. The last group of a class is
    sought among all that have a row of it, so that no class is left untrained; a group that is the last of any class is
    nothing else.

    Args:
        labels: uint16 (n,), class indices.
        groups: uint64 (n,), the digest of each row's group.
    Returns: uint8 (n,), the mark of each row's group.
    """
    if not len(groups):
        return np.zeros(0, np.uint8)
    known, row = np.unique(groups, return_inverse=True)
    line = mix(known, PLACE)
    pairs, count = np.unique(row.astype(np.int64) << 16 | labels, return_counts=True)
    group, label = pairs >> 16, pairs & 0xFFFF
    marks = np.full(len(known), FREE, np.uint8)
    by_place = np.lexsort((line[group], label))
    marks[group[by_place][np.diff(label[by_place], append=-1) != 0]] = LAST
    most = np.lexsort((label, -count, group))
    home = label[most][np.diff(group[most], prepend=-1) != 0]
    for mark, among in ((FIRST, np.arange(len(known))), (MIDDLE, np.flatnonzero(line >= HALF))):
        ascending = among[np.lexsort((line[among], home[among]))]
        lowest = ascending[np.diff(home[ascending], prepend=-1) != 0]
        marks[lowest[marks[lowest] == FREE]] = mark
    return marks[row]


def read_deal(path: Path) -> Deal:
    """Read how the images of a set are dealt out. Args: path: of `groups.parquet`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read(["split", "digest", "group", "mark"])
    train = table["split"].to_numpy() == TRAIN
    return Deal.of(*(table[name].to_numpy()[train] for name in ("digest", "group", "mark")))


def _drawn(groups: Digests, fraction: float, seed: int) -> Mask:
    """Say of which groups the number drawn from digest and seed is in the lowest fraction."""
    return np.asarray(mix(groups, seed) < np.uint64(min(int(fraction * 2**64), 2**64 - 1)), np.bool_)
