"""Labels: what a label file holds, as class indices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.datasets import TableSpec
from tasks.formats.idx import IdxFile

NUMBERS = 2**20
"""Numbers that are read at once, so that wide rows take no more memory."""
ODD = 0.05
"""Share of rows that may be no one-hot ones in labels that are taken for such."""
OUTSIDE = -1
"""The index of what is no class: a value that `label_values` does not have, a row that is not one-hot."""


@dataclass(frozen=True)
class LabelFile:
    """
    An open label file: labels of shape (n,), or (n, columns).

    Args: name: what its description calls it.
    """

    name: str
    idx: IdxFile

    @property
    def columns(self) -> int | None:
        """Numbers in a row; None where the labels are of shape (n,), or of more than two dimensions."""
        shape = self.idx.header.shape
        return shape[1] if len(shape) == 2 else None

    def rows_within(self, rows: int) -> int:
        """Return `rows`, or as many as 2^20 numbers make."""
        return max(1, min(rows, NUMBERS // math.prod(self.idx.header.shape[1:])))


def class_indices(labels: LabelFile, spec: TableSpec, rows: int) -> Iterator[npt.NDArray[np.int64]]:
    """
    Yield the labels as int64 class indices, in blocks of `rows` at most.

    An index outside of 0 to classes - 1 is what the stored label gives by `label_offset`, else `OUTSIDE`.
    """
    for block in labels.idx.blocks(labels.rows_within(rows)):
        yield hot(block) if spec.labels == "one-hot" else to_indices(_column(block, spec), spec)


def stored_labels(labels: LabelFile, spec: TableSpec, rows: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield integer labels as they are stored, int64 (n,), in blocks of `rows` at most."""
    for block in labels.idx.blocks(labels.rows_within(rows)):
        yield _column(block, spec).astype(np.int64)


def to_indices(stored: npt.NDArray[Any], spec: TableSpec) -> npt.NDArray[np.int64]:
    """Return the class indices of stored integer labels, of shape (n,); int64."""
    if spec.label_values is None:
        return stored.astype(np.int64) - spec.label_offset
    values = np.array(spec.label_values, np.int64)
    order = np.argsort(values)
    place = order[np.searchsorted(values[order], stored).clip(max=len(values) - 1)]
    return np.where(values[place] == stored, place, OUTSIDE)


def is_one_hot(labels: LabelFile) -> bool:
    """
    Tell whether rows have one 1 and are 0 elsewhere, in two columns or more, of whatever type.

    Nearly all of them: a few blank or doubled rows make one-hot labels no numbers.
    """
    if (labels.columns or 0) < 2:
        return False
    rows = odd = 0
    for block in labels.idx.blocks(labels.rows_within(NUMBERS)):
        if not np.isin(block, (0, 1)).all():
            return False
        rows, odd = rows + len(block), odd + int((hot(block) == OUTSIDE).sum())
    return odd <= rows * ODD


def hot(block: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the column of the one 1 in each row, or OUTSIDE where there is not one, or anything but 0 beside it."""
    ones = block == 1
    sound = (ones.sum(axis=1) == 1) & (np.count_nonzero(block, axis=1) == 1)
    return np.where(sound, ones.argmax(axis=1), OUTSIDE)


def _column(block: npt.NDArray[Any], spec: TableSpec) -> npt.NDArray[Any]:
    """Return the one label of each row; n x 1 labels need no `label_column`."""
    column: npt.NDArray[Any] = block if block.ndim == 1 else block[:, spec.label_column or 0]
    return column
