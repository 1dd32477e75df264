"""
Which images are equal or nearly equal, searched exactly, and the groups that they make.

Two images are near where the root mean square difference of their values is at most 7 grey levels: a copy that was
saved as a JPEG, or a little noise. What is shifted, resized, turned, mirrored or recoloured is far by this measure, and
is not found.

No pair can be missed. Equal images are joined first. The others are projected on 16 directions at right angles, and a
projection never lengthens a distance: what is further apart there than 7 * sqrt(values), and the error of float32, is
no near pair. The others are compared value by value, in whole numbers.

Time and memory: a set takes some 300 bytes an image, and blocks. Images of one crowd, more than 64 different ones that
hang together, are joined and not compared pair by pair; so its pairs are not listed, and `Found.crowds` says so.
Images that are just not near each other, by the thousand, cost 0.2 us a pair, in products of matrices. A search that
would have to look at more than `MOST_PAIRS` pairs is given up, and `Found.complete` says so: then only equal images
make groups. That cannot happen to a set of up to 65,536 different images, which has no more pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.quality.profile import digest_images
from tasks.quality.projection import (
    BLOCK,
    THRESHOLD,
    UNIT,
    WIDTH,
    Grid,
    Images,
    Places,
    Values,
    blocks_of,
    find_directions,
    multiply,
    project,
    reach_of,
)

Digests = npt.NDArray[np.uint64]
CROWD = 64
"""Different images that hang together, above which their pairs are not listed."""
MOST_PAIRS = 2**31
"""Pairs that are looked at, at the most. All of 65,536 images are fewer."""
PAIRS = 1 << 19
"""Pairs that are looked at at once, or few more."""
MANY = 1 << 14
"""Pairs that are compared value by value as they come; of more, what can be told without it is told first."""
POINTS = 1 << 13
"""Images whose neighbours are looked up at once."""


class Stacked:
    """
    Several arrays of images as one, the rows of the first first.

    Args: parts: each uint8 (n, values), one at least; all have the same values.
    """

    def __init__(self, parts: Sequence[npt.NDArray[np.uint8]]) -> None:
        self.parts = tuple(parts)
        self.starts = np.cumsum([0, *(len(part) for part in parts)])

    @property
    def shape(self) -> tuple[int, ...]:
        """How many images, and how many values each has."""
        return int(self.starts[-1]), self.parts[0].shape[1]

    def __getitem__(self, rows: Any, /) -> npt.NDArray[np.uint8]:
        """Read some rows, given as a slice or as an array of int64."""
        wanted = np.arange(*rows.indices(self.shape[0])) if isinstance(rows, slice) else np.asarray(rows, np.int64)
        found = np.empty((len(wanted), self.shape[1]), np.uint8)
        owner = np.searchsorted(self.starts, wanted, side="right") - 1
        for part in np.unique(owner):
            its = np.flatnonzero(owner == part)
            found[its] = self.parts[part][wanted[its] - self.starts[part]]
        return found


@dataclass(frozen=True, eq=False)
class Found:
    """
    The groups of a set of images.

    Args:
        digests:  uint64 (n,), of each image.
        groups:   uint64 (n,), the smallest digest of its group, which names it: a group is what hangs together by equal
                  and near pairs. It does not depend on the order of the rows.
        first:    int64 (n,), the first row that is equal to it: its own where there is none before.
        pairs:    int64 (pairs, 2), rows of different images that are near, lower row first, ascending; of equal images
                  the first stands for all. Complete but for crowds.
        squares:  int64 (pairs,), the sum of the squared differences of each pair.
        values:   values of an image.
        crowds:   how many groups have more than 64 different images, so that their pairs are not in `pairs`.
        complete: False where the search was given up: no pair is known then, and only equal images make groups.
    """

    digests: Digests
    groups: Digests
    first: Places
    pairs: Places
    squares: Places
    values: int
    crowds: int
    complete: bool

    @property
    def distances(self) -> npt.NDArray[np.float64]:
        """The root mean square difference of each pair in grey levels: float64 (pairs,), above 0, at most 7."""
        return np.asarray(np.sqrt(self.squares / self.values), np.float64)


def find_near(images: Images, most_pairs: int = MOST_PAIRS) -> Found:
    """
    Find equal and near images, and their groups.

    Args:
        images:     uint8 (n, values), n of 0 or more.
        most_pairs: how many pairs of images are looked at before the search is given up.
    """
    digests = digest_all(images)
    first = find_equal(images, digests)
    leads = np.flatnonzero(first == np.arange(len(first)))
    leads = leads[np.argsort(digests[leads], kind="stable")]  # so that the rows' order decides nothing
    search = _Search(images, leads)
    complete = search.run(most_pairs)
    if complete:  # different images with one digest are one group: what goes by digests must not tear one
        by_digest = np.argsort(digests[search.rows], kind="stable")
        ascending = digests[search.rows][by_digest]
        for place in np.flatnonzero(ascending[1:] == ascending[:-1]).tolist():
            search.joined.join(int(by_digest[place]), int(by_digest[place + 1]))
    roots = search.joined.roots() if complete else np.arange(len(leads))
    smallest = np.full(len(leads), 2**64 - 1, np.uint64)
    np.minimum.at(smallest, roots, digests[search.rows])
    groups = np.empty(len(digests), np.uint64)
    groups[search.rows] = smallest[roots]
    groups = groups[first]
    pairs, squares, crowds = search.listed(roots) if complete else (_no_pairs(), np.empty(0, np.int64), 0)
    return Found(digests, groups, first, pairs, squares, images.shape[1], crowds, complete)


def digest_all(images: Images) -> Digests:
    """Digest all images, block by block: uint64 (n,)."""
    parts = [digest_images(images[block]) for block in blocks_of(images.shape[0], images.shape[1])]
    return np.concatenate([np.empty(0, np.uint64), *parts])


def find_equal(images: Images, digests: Digests) -> Places:
    """
    Find the first row that is equal to each: int64 (n,).

    Rows of one digest are compared with the first of them. Other images with the digest of one that is not equal to
    them go by their SHA-256.
    """
    order = np.argsort(digests, kind="stable")
    ascending = digests[order]
    heads = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]])) if len(order) else order
    first = np.empty(len(order), np.int64)
    first[order] = np.repeat(order[heads], np.diff(heads, append=len(order)))
    copies = np.flatnonzero(first != np.arange(len(first)))
    named = dict[bytes, int]()
    for block in blocks_of(len(copies), images.shape[1]):
        rows = copies[block]
        pixels = images[rows]
        for at in np.flatnonzero((pixels != images[first[rows]]).any(axis=1)):
            name = digests[rows[at]].tobytes() + hashlib.sha256(pixels[at]).digest()
            first[rows[at]] = named.setdefault(name, int(rows[at]))
    return first


class _Joined:
    """Sets of places that were joined (union-find, by size)."""

    def __init__(self, count: int) -> None:
        self.parent, self.size = list(range(count)), [1] * count
        self.largest = 1

    def find(self, place: int) -> int:
        """Return the place that stands for the set of this one."""
        parent = self.parent
        while parent[place] != place:
            parent[place] = place = parent[parent[place]]
        return place

    def join(self, one: int, other: int) -> None:
        """Make one set of two."""
        high, low = self.find(one), self.find(other)
        if high != low:
            if self.size[high] < self.size[low]:
                high, low = low, high
            self.parent[low] = high
            self.size[high] += self.size[low]
            self.largest = max(self.largest, self.size[high])

    def roots(self) -> Places:
        """Return the set of each place: int64 (n,)."""
        roots = np.array(self.parent, np.int64)
        while (roots[roots] != roots).any():
            roots = roots[roots]
        return roots

    def crowds(self) -> Places:
        """Return for each place the set that it is in, if that is a crowd, else -1 less its place: int64 (n,)."""
        roots = self.roots()
        return np.where(np.array(self.size)[roots] > CROWD, roots, -1 - np.arange(len(roots)))


class _Search:
    """
    The search among different images.

    Args: rows: int64 (m,), a row of each.
    """

    def __init__(self, images: Images, rows: Places) -> None:
        self.images, self.rows = images, rows
        self.values = images.shape[1]
        self.limit = THRESHOLD**2 * self.values
        self.joined = _Joined(len(rows))
        self.found = list[tuple[Places, Places, Places]]()
        self.crowd: Places | None = None

    def run(self, most: int) -> bool:
        """Join all that are near. Returns: False where that would take more than `most` pairs."""
        if len(self.rows) < 2:
            return True
        run = -(-self.values // WIDTH)
        directions = find_directions(self.images, self.rows, run)
        coordinates = project(self.images, self.rows, directions, run)
        reach = reach_of(self.values, directions.shape[1], len(directions))
        grid = Grid(coordinates, reach)
        coordinates, self.rows = coordinates[grid.order], self.rows[grid.order]  # from here on in the grid's order
        parts = np.ascontiguousarray(coordinates[:, :8]), coordinates  # most pairs are apart in the first ones
        looked = 0
        for points, others in self._candidates(grid):
            looked += len(points)
            if looked > most:
                return False
            one, other = self._apart(points, others)
            for part in parts:
                within = _within(part, one, other, reach)
                one, other = one[within], other[within]
            self._compare(one, other)
        return True

    def _candidates(self, grid: Grid) -> Iterator[tuple[Places, Places]]:
        """Yield pairs of places that are near each other in the grid, but for those of one crowd, about PAIRS each."""
        count = len(grid.order)
        for start in range(0, count, POINTS):
            block = slice(start, min(start + POINTS, count))
            first, stop = grid.runs(block)
            points = np.repeat(np.arange(block.start, block.stop), first.shape[1])
            first, lengths = first.ravel(), (stop - first).ravel().clip(0)
            done = 0
            while done < len(points):
                # Again for each piece: what has become one crowd meanwhile need not be looked at.
                part = slice(done, done + max(1, int(np.searchsorted(np.cumsum(lengths[done:]), PAIRS, side="right"))))
                here, begin, length = (
                    points[part],
                    first[part],
                    self._of_others(points[part], first[part], lengths[part]),
                )
                one = np.repeat(here, length)
                ahead = np.repeat(begin - np.cumsum(length) + length, length)
                yield one, np.arange(len(one)) + ahead
                done = part.stop

    def _of_others(self, points: Places, first: Places, lengths: Places) -> Places:
        """Return the lengths of runs, 0 for those all of whose places are of the point's own crowd."""
        if self.crowd is None:
            return lengths
        ends = np.flatnonzero(np.diff(self.crowd, append=-1 - len(self.crowd)))  # the last place of each even piece
        begin = np.minimum(first, len(self.crowd) - 1)
        whole = ends[np.searchsorted(ends, begin)] >= first + lengths - 1
        return np.where(whole & (self.crowd[begin] == self.crowd[points]), 0, lengths)

    def _apart(self, one: Places, other: Places) -> tuple[Places, Places]:
        """Leave out the pairs that are in one crowd."""
        if self.crowd is None:
            return one, other
        apart = self.crowd[one] != self.crowd[other]
        return one[apart], other[apart]

    def _compare(self, one: Places, other: Places) -> None:
        """
        Compare pairs value by value, and join those that are near.

        Of many the first of each image are compared first: in a crowd they join all, and the others need not be.
        """
        if len(one) > MANY:
            heads = np.zeros(len(self.rows), np.int64)
            heads[other[::-1]] = np.arange(len(other))[::-1]  # of an image that comes twice the last one is kept
            later = heads[other] != np.arange(len(other))
            self._join(one[~later], other[~later])
            one, other = self._sift(*self._apart(one[later], other[later]))
        for start in range(0, len(one), MANY):
            block = slice(start, start + MANY)
            self._join(*self._apart(one[block], other[block]))

    def _join(self, one: Places, other: Places) -> None:
        near = 0
        for block in blocks_of(len(one), 4 * self.values):
            squares = self._squares(one[block], other[block])
            within = np.flatnonzero(squares <= self.limit)
            high, low, near = one[block][within], other[block][within], near + len(within)
            self.found.append((high, low, squares[within]))
            for pair in zip(high.tolist(), low.tolist(), strict=True):
                self.joined.join(*pair)
        if near and self.joined.largest > CROWD:
            self.crowd = self.joined.crowds()
            self._forget()

    def _forget(self) -> None:
        """Let go of the pairs of crowds, which are not listed: memory does not grow with them."""
        if self.crowd is not None:
            kept = [(a, b, squares, self.crowd[a] < 0) for a, b, squares in self.found]
            self.found = [(a[k], b[k], squares[k]) for a, b, squares, k in kept if k.any()]

    def _squares(self, one: Places, other: Places) -> Places:
        """Return the sums of squared differences: exact up to the limit, and above it where they are."""
        # Sums of whole numbers are exact in float32 up to 2^24, and what is above stays above.
        kind = np.dtype(np.float32 if self.limit < 2**23 else np.float64)
        high, low = self.images[self.rows[one]], self.images[self.rows[other]]
        difference = np.subtract(high, low, dtype=kind)
        return np.asarray(np.vecdot(difference, difference), np.int64)

    def _sift(self, one: Places, other: Places) -> tuple[Places, Places]:
        """
        Leave out of many pairs of few images what a product of matrices shows to be apart.

        Less a common image, so that numbers are small: |a - b|^2 = |a|^2 + |b|^2 - 2ab, whose error in float32 is at
        most 2 (values + 4) 2^-24 (|a| + |b|)^2.
        """
        count = len(self.rows)
        (left, at_left), (right, at_right) = _ranked(one, count), _ranked(other, count)
        if len(one) * 8 < len(left) * len(right):
            return one, other
        common = self.images[self.rows[left[:1]]].astype(np.float32)
        keep = np.empty(len(one), bool)
        step = max(1, BLOCK // self.values)
        for start, low in product(range(0, len(right), step), range(0, len(left), step)):
            b = self.images[self.rows[right[start : start + step]]] - common
            a = self.images[self.rows[left[low : low + step]]] - common
            squares = np.vecdot(a, a)[:, None], np.vecdot(b, b)
            error = 2.1 * (self.values + 4) * UNIT * (np.sqrt(squares[0]) + np.sqrt(squares[1])) ** 2
            near = squares[0] + squares[1] - 2 * multiply(a, b) <= self.limit * (1 + 1e-5) + error
            here = (at_right >= start) & (at_right < start + step) & (at_left >= low) & (at_left < low + step)
            keep[here] = near[at_left[here] - low, at_right[here] - start]
        return one[keep], other[keep]

    def listed(self, roots: Places) -> tuple[Places, Places, int]:
        """Return near pairs as rows, ascending, with their squares, but for crowds; and the number of crowds."""
        crowds = int((np.bincount(roots, minlength=1) > CROWD).sum())
        self._forget()
        if not self.found:
            return _no_pairs(), np.empty(0, np.int64), crowds
        one, other, squares = (np.concatenate(column) for column in zip(*self.found, strict=True))
        pairs = np.sort(np.stack([self.rows[one], self.rows[other]], axis=1), axis=1)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        return pairs[order], squares[order], crowds


def _within(coordinates: Values, one: Places, other: Places, reach: float) -> npt.NDArray[np.bool_]:
    difference = coordinates.take(one, axis=0)  # several times as fast as an index
    difference -= coordinates.take(other, axis=0)
    return np.asarray(np.einsum("ij,ij->i", difference, difference) <= reach**2, np.bool_)


def _ranked(places: Places, count: int) -> tuple[Places, Places]:
    """Return the different ones of some places below `count`, ascending, and for each place which one it is."""
    there = np.zeros(count, bool)
    there[places] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[places]


def _no_pairs() -> Places:
    return np.empty((0, 2), np.int64)
