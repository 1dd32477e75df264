"""IDX files made by hand, from the format's description and without the reader under test."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy.typing as npt

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    """Encode an array as an IDX file."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(path: Path, array: npt.NDArray[Any]) -> Path:
    """Write an array as an IDX file."""
    path.write_bytes(idx_bytes(array))
    return path
