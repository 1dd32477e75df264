"""Consecutive rows of a table, read a row group at a time: those that are trained on, and those that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.image_table import ImageTable
from tasks.room import Pool

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Rows:
    """
    Rows `start` to `stop` of a table.

    Args:
        table: from which they are read anew each time that they are asked for.
    """

    table: ImageTable
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of rows of each group that has any of them."""
        return tuple(cut.stop - cut.start for _, cut in self._cuts)

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
            image, label = self.group(group)
            pixels[start : start + len(label)] = image
            labels.append(label)
            start += len(label)
        return pixels, np.concatenate(labels)

    def group(self, index: int) -> tuple[Pixels, Labels]:
        """
        Read one group, the first one of these rows being 0.

        Returns: uint8 (n, pixels), a view that cannot be written to, and int32 (n,).
        Raises:  BadTable: it is damaged.
        """
        group, cut = self._cuts[index]
        batch = self.table.group(group)
        return batch.image[cut], batch.label[cut].astype(np.int32)

    @cached_property
    def _cuts(self) -> list[tuple[int, slice]]:
        cuts, first = [], 0
        for index, size in enumerate(self.table.group_sizes):
            cut = slice(max(self.start - first, 0), min(self.stop - first, size))
            if cut.start < cut.stop:
                cuts.append((index, cut))
            first += size
        return cuts
