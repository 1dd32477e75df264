"""Some rows of a table, read a row group at a time: those that are trained on, or those that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.image_table import Batch, ImageTable
from tasks.fitting.room import Pool

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Cut = slice | npt.NDArray[np.int64]
"""Which rows of a row group: a slice where they are consecutive, else their numbers."""


@dataclass(frozen=True, eq=False)
class Rows:
    """
    Chosen rows of a table, in its order.

    Args:
        table:  from which they are read anew each time that they are asked for.
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
