"""Consecutive rows of a table, read a row group at a time: those that are trained on, and those that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.image_table import ImageTable

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
        return tuple(cut.stop - cut.start for _, cut in self._cuts())

    def read(self, groups: Sequence[int]) -> tuple[Pixels, Labels]:
        """
        Read groups, the first one of these rows being 0, and put them side by side.

        Returns: uint8 (n, pixels) and int32 (n,); of one group, a view that cannot be written to.
        Raises:  BadTable: a group is damaged.
        """
        cuts = self._cuts()
        if len(groups) == 1:
            return self._read(*cuts[groups[0]])
        rows = sum(cuts[group][1].stop - cuts[group][1].start for group in groups)
        pixels, labels = np.empty((rows, self.table.pixels), np.uint8), np.empty(rows, np.int32)
        start = 0
        # Group by group: beside the rows, memory holds one group instead of all of them twice.
        for group in groups:
            image, label = self._read(*cuts[group])
            stop = start + len(label)
            pixels[start:stop], labels[start:stop] = image, label
            start = stop
        return pixels, labels

    def _read(self, index: int, cut: slice) -> tuple[Pixels, Labels]:
        batch = self.table.group(index)
        return batch.image[cut], batch.label[cut].astype(np.int32)

    def _cuts(self) -> list[tuple[int, slice]]:
        cuts, first = [], 0
        for index, size in enumerate(self.table.group_sizes):
            cut = slice(max(self.start - first, 0), min(self.stop - first, size))
            if cut.start < cut.stop:
                cuts.append((index, cut))
            first += size
        return cuts
