"""Write an IDX file whose number of entries is known at its end only."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CODES = {"uint8": 8, "int32": 12}
"""Byte 2 of the header, by NumPy's names."""


class IdxWriter:
    """
    An IDX file that grows; used as a context manager, which writes the header at its end.

    Args: inner: the shape of an entry; `dtype`: uint8 or int32.
    """

    def __init__(self, path: Path, inner: tuple[int, ...], dtype: str = "uint8") -> None:
        self._inner, self._code = inner, CODES[dtype]
        self._dtype = np.dtype(dtype).newbyteorder(">")
        self._file = path.open("wb")
        self.rows = 0
        self._write_header()

    def add(self, block: npt.NDArray[Any]) -> None:
        """Add entries: an array of shape (n, *inner)."""
        self._file.write(np.ascontiguousarray(block, self._dtype).data)
        self.rows += len(block)

    def _write_header(self) -> None:
        shape = (self.rows, *self._inner)
        self._file.write(bytes([0, 0, self._code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape))

    def __enter__(self) -> IdxWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.seek(0, os.SEEK_SET)
        self._write_header()
        self._file.close()
