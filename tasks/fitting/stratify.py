"""
Split a set in two: in the proportions of its classes, equal images on one side, whatever the order of its rows.

The choice follows from the images alone: each has a rank, a number drawn from its digest and a seed, and low ranks are
chosen. The same images in another order, or cut into other files, are split in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint16]
Digests = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]


def choose(labels: Labels, digests: Digests, fraction: float, seed: int) -> Mask:
    """
    Choose the rows to hold out, stratified: of each class the same share, and never a whole class.

    Images with equal digests are on one side, also where their labels differ. A class's count is less than one row
    above or below its share wherever enough of its images occur once, at least as many as its share rounded up.
    Otherwise it is as near as its groups of equal images let it be.

    Args:
        labels:   uint16 (n,), class indices.
        digests:  uint64 (n,), of the images' pixels; see `tasks.quality.profile.digest_images`.
        fraction: 0 or more, below 1.
        seed:     0 or more. Another one gives another choice.
    Returns: bool (n,), True where a row is held out.
    """
    counts = np.bincount(labels)
    shares = share_of(counts, len(labels) - math.floor(len(labels) * (1 - fraction)))
    quotas = apportion(counts, shares, seed)
    rank = mix(digests, seed)
    order = np.argsort(rank)
    ascending = rank[order]
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]])) if len(order) else order
    sizes = np.diff(starts, append=len(order))
    groups = _Groups.of(order, labels, starts[sizes > 1], sizes[sizes > 1])
    low = int(np.searchsorted(ascending[groups.starts], np.uint64(min(int(fraction * 2**64), 2**64 - 1))))
    state = _State(counts, shares, quotas, np.zeros_like(counts))
    held = np.zeros(len(labels), bool)
    taken = [group for group in range(low) if state.take(*groups.classes(group))]
    single = order[starts[sizes == 1]]
    held[_lowest(single, labels[single], quotas - state.held)] = True
    state.held[:] += np.bincount(labels[held], minlength=len(counts))
    left = np.setdiff1d(np.arange(len(groups.starts)), taken)
    taken += state.fill(groups, left)
    for group in taken:
        held[groups.rows(group)] = True
    return held


def share_of(counts: Counts, total: int) -> npt.NDArray[np.float64]:
    """Return each class's share of `total` rows, in rows, float64 (classes,): in proportion to its `counts`."""
    shares: npt.NDArray[np.float64] = counts * total / max(1, counts.sum())
    return shares


def apportion(counts: Counts, shares: npt.NDArray[np.float64], seed: int) -> Counts:
    """
    Round shares to whole rows that add up to what the shares do, by largest remainder (Hamilton, 1792).

    Equal remainders are ordered by the seed. One row at least of each class that has any is left.

    Returns: int64 (classes,), each less than one row from its share, or one row above it.
    """
    whole = np.floor(shares + 1e-9).astype(np.int64)  # 0.1 * 30 is a bit above 3, and may be a bit below
    missing = round(shares.sum()) - int(whole.sum())
    remainder = np.round(shares - whole, 9)
    order = np.lexsort((mix(np.arange(len(counts), dtype=np.uint64), seed), -remainder))
    whole[order[whole[order] + 1 < counts[order]][:missing]] += 1
    return whole


def mix(values: Digests, seed: int) -> Digests:
    """
    Draw a number for each value: uint64, evenly spread, different ones for different values.

    The finaliser of SplitMix64 (Steele, Lea and Flood, 2014) over the value, moved by the seed's own number.
    """
    return _splitmix(values ^ _splitmix(np.array([seed], np.uint64)))


def _splitmix(values: Digests) -> Digests:
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _lowest(rows: npt.NDArray[np.int64], labels: Labels, wanted: Counts) -> npt.NDArray[np.int64]:
    """Return the first `wanted` rows of each class, of rows in ascending rank, or as many as there are."""
    by_class = np.argsort(labels, kind="stable")
    label = labels[by_class]
    starts = np.cumsum(np.bincount(labels, minlength=len(wanted))) - np.bincount(labels, minlength=len(wanted))
    place = np.arange(len(label)) - starts[label]
    return rows[by_class[place < wanted[label]]]


@dataclass(frozen=True)
class _Groups:
    """
    Groups of equal images, two or more each, in ascending rank.

    Args:
        order:  all rows in ascending rank; a group is a piece of it.
        starts: int64 (groups,), where each begins; `sizes`: how many rows it has.
        cuts:   int64 (groups + 1,), where the classes of each begin in `label` and `count`.
    """

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    cuts: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    count: Counts

    @classmethod
    def of(
        cls, order: npt.NDArray[np.int64], labels: Labels, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> _Groups:
        """Count the classes of each group."""
        group = np.repeat(np.arange(len(starts)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        keys, count = np.unique(group << 16 | labels[order[np.repeat(starts, sizes) + within]], return_counts=True)
        cuts = np.searchsorted(keys >> 16, np.arange(len(starts) + 1))
        return cls(order, starts, sizes, cuts, keys & 0xFFFF, count)

    def rows(self, group: int) -> npt.NDArray[np.int64]:
        """Return the rows of a group."""
        return self.order[self.starts[group] : self.starts[group] + self.sizes[group]]

    def classes(self, group: int) -> tuple[npt.NDArray[np.int64], Counts]:
        """Return the classes that a group has rows of, and how many of each."""
        cut = slice(self.cuts[group], self.cuts[group + 1])
        return self.label[cut], self.count[cut]

    def of_classes(self, wanted: Mask, among: npt.NDArray[np.int64]) -> Iterator[int]:
        """Yield those of some groups that have a row of a wanted class."""
        touched = np.zeros(len(self.starts), bool)
        touched[np.repeat(np.arange(len(self.starts)), np.diff(self.cuts))[wanted[self.label]]] = True
        yield from among[touched[among]].tolist()


@dataclass(frozen=True)
class _State:
    """What is held out of each class so far, beside its target: its share, and that in whole rows."""

    counts: Counts
    shares: npt.NDArray[np.float64]
    quotas: Counts
    held: Counts

    def take(self, label: npt.NDArray[np.int64], count: Counts) -> bool:
        """Hold a group out if all of its classes have room for it, and say so."""
        if fits := bool((self.held[label] + count <= self.quotas[label]).all()):
            self.held[label] += count
        return fits

    def fill(self, groups: _Groups, left: npt.NDArray[np.int64]) -> list[int]:
        """Hold out more groups where single images were too few: what fits, then what brings a class nearer."""
        taken = list[int]()
        for step in (self.take, self._overshoot):
            for group in groups.of_classes(self.held < self.quotas, np.setdiff1d(left, taken)):
                if step(*groups.classes(group)):
                    taken.append(group)
                    if (self.held >= self.quotas).all():
                        return taken
        return taken

    def _overshoot(self, label: npt.NDArray[np.int64], count: Counts) -> bool:
        """Hold out a group that is too large, if a class is nearer to its share with it and none is held out whole."""
        after = self.held[label] + count
        away, before = abs(after - self.shares[label]), abs(self.held[label] - self.shares[label])
        better = away.sum() < before.sum() and (away <= np.maximum(before, 1)).all()
        if fits := bool(better and (after < self.counts[label]).all()):
            self.held[label] = after
        return fits
