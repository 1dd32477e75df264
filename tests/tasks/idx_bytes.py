"""IDX files made by hand, from the format's description and without the reader under test."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(array: npt.NDArray[Any]) -> bytes:
    """Encode an array as an IDX file."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_shards(
    folder: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any], cuts: tuple[int, ...] = ()
) -> tuple[list[Path], list[Path]]:
    """Write images and labels as shards, cut at rows `cuts`: `images-0`, `labels-0` and so on."""
    pairs = list(enumerate(zip(np.split(images, cuts), np.split(labels, cuts), strict=True)))
    return (
        [write_idx(folder / f"images-{at}", image) for at, (image, _) in pairs],
        [write_idx(folder / f"labels-{at}", label) for at, (_, label) in pairs],
    )


def write_idx(path: Path, array: npt.NDArray[Any]) -> Path:
    """Write an array as an IDX file."""
    path.write_bytes(idx_bytes(array))
    return path
