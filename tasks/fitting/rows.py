"""
Some rows of a table, those that are trained on or those that are held out; and the order in which an epoch meets them.

The order follows from the seed, the epoch and the table's row groups, and never from the machine: whether a table is
held in memory or streamed from the disk, the same rows come in the same order. Rows are shuffled within windows that
memory always has room for: the groups are shuffled, as many of them as fit make a window, and its rows are shuffled.
Where all rows fit into one window that is a uniform permutation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.image_table import Batch, ImageTable
from tasks.fitting.memory import Pool

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Cut = slice | npt.NDArray[np.int64]
"""Which rows of a row group: a slice where they are consecutive, else their numbers."""


@dataclass(frozen=True, eq=False)
class Rows:
    """
    Chosen rows of a table, in its order.

    Args:
        table:  from which they are read again each time that they are asked for.
        chosen: bool (n,), a value per row of the table.
    """

    table: ImageTable
    chosen: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return sum(self.sizes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of rows of each group that has any of them."""
        return tuple(count for _, _, count in self._groups)

    def read(self, groups: Sequence[int], room: Pool) -> tuple[Pixels, Labels]:
        """
        Read groups, the first one of these rows being 0, and put them side by side, in `room`.

        Returns: uint8 (n, pixels) and int32 (n,); of one group, as `group`.
        Raises:  BadTable: a group is damaged.
        """
        if len(groups) == 1:
            return self.group(groups[0])
        sizes = self.sizes
        pixels = room.array(sum(sizes[group] for group in groups))
        labels, start = list[Labels](), 0
        # Group by group: beside the rows, memory holds one group instead of all of them twice.
        for group in groups:
            batch, cut = self._read(group)
            stop = start + sizes[group]
            if isinstance(cut, slice):
                pixels[start:stop] = batch.image[cut]
            else:  # clip: otherwise NumPy fills a copy of the room first
                np.take(batch.image, cut, axis=0, out=pixels[start:stop], mode="clip")
            labels.append(batch.label[cut].astype(np.int32))
            start = stop
        return pixels, np.concatenate(labels)

    def group(self, index: int) -> tuple[Pixels, Labels]:
        """
        Read one group, the first one of these rows being 0.

        Returns: uint8 (n, pixels), a view that cannot be written to where its rows are consecutive, and int32 (n,).
        Raises:  BadTable: it is damaged.
        """
        batch, cut = self._read(index)
        return batch.image[cut], batch.label[cut].astype(np.int32)

    def _read(self, index: int) -> tuple[Batch, Cut]:
        group, first, count = self._groups[index]
        rows = np.flatnonzero(self.chosen[first : first + self.table.group_sizes[group]])
        consecutive = rows[-1] - rows[0] + 1 == count
        return self.table.group(group), slice(int(rows[0]), int(rows[-1]) + 1) if consecutive else rows

    @cached_property
    def _groups(self) -> list[tuple[int, int, int]]:
        """Each group that has any of the rows: its number in the table, its first row there, and how many of them."""
        groups, first = [], 0
        for index, size in enumerate(self.table.group_sizes):
            if count := int(np.count_nonzero(self.chosen[first : first + size])):
                groups.append((index, first, count))
            first += size
        return groups


@dataclass(frozen=True)
class Window:
    """
    Row groups that are in memory together.

    Args:
        groups: their indexes, in the order in which their rows are put side by side.
        order:  int32 (n,), a permutation of those rows.
    """

    groups: tuple[int, ...]
    order: npt.NDArray[np.int32]


def windows(sizes: Sequence[int], window: int, seed: int, epoch: int) -> Iterator[Window]:
    """
    Yield the windows of an epoch.

    Args:
        sizes:  rows of each group.
        window: rows that are shuffled together at most; a group that is larger makes a window alone.
        epoch:  0 for the first.
    """
    random = np.random.default_rng((seed, epoch))
    whole = sum(sizes) <= window
    shuffled = range(len(sizes)) if whole else random.permutation(len(sizes)).tolist()
    taken: list[int] = []
    for group in shuffled:
        if taken and sum(sizes[other] for other in taken) + sizes[group] > window:
            yield _window(taken, sizes, random)
            taken = []
        taken.append(group)
    yield _window(taken, sizes, random)


def positions(sizes: Sequence[int], windows: Iterator[Window]) -> npt.NDArray[np.int32]:
    """Return the rows of a whole epoch in order, int32 (n,), as positions in the table."""
    starts = np.cumsum([0, *sizes])
    return np.concatenate(
        [
            np.concatenate([np.arange(starts[group], starts[group + 1], dtype=np.int32) for group in window.groups])[
                window.order
            ]
            for window in windows
        ]
    )


def _window(groups: Sequence[int], sizes: Sequence[int], random: np.random.Generator) -> Window:
    rows = np.arange(sum(sizes[group] for group in groups), dtype=np.int32)
    random.shuffle(rows)
    return Window(tuple(groups), rows)
