"""Memory for large arrays, used again: fresh memory is cleared, page by page, before it can be written to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64
"""Bytes at a multiple of which TensorFlow wants an array to begin: another one it copies, or it ends the process."""


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array with any content that TensorFlow can take as it is, without a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


class Pool:
    """
    Aligned arrays of one greatest size, each in memory that comes back once no array is left in it.

    Args: shape: of the largest; the others have fewer rows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._free: list[npt.NDArray[Any]] = []

    def array(self, rows: int) -> npt.NDArray[Any]:
        """Return an array of so many rows, or of as many as the largest has, with any content."""
        try:
            memory = self._free.pop()
        except IndexError:
            memory = aligned(self.shape, self.dtype)
        return np.asarray(_Loan(memory, self._free))[:rows]


@dataclass(frozen=True, eq=False)
class _Loan:
    """What arrays in a pool's memory go back to, and keep: a view of one keeps that one."""

    memory: npt.NDArray[Any]
    free: list[npt.NDArray[Any]]

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.memory.__array_interface__

    def __del__(self) -> None:
        self.free.append(self.memory)
