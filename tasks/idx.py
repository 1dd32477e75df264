"""
The IDX format: a typed, rectangular array in a file, as LeCun's MNIST page defines it.

Bytes 0-1 are zero, byte 2 is the type, byte 3 the rank, then one big-endian uint32 a dimension, outermost first;
then the body, row-major and big-endian. Nothing here takes memory on the word of a header: it is first held against
the size of the file.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import BadIdx

TYPES: dict[int, np.dtype[Any]] = {
    code: np.dtype(name) for code, name in ((8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8"))
}
NAMED_TYPES = dict(zip(("ubyte", "byte", "short", "int", "float", "double"), TYPES.values(), strict=True))
MAX_RANK = 8
MAX_HEADER_BYTES = 4 + 4 * MAX_RANK
MAX_BYTES = 64 * 2**30
"""The largest file that a header may promise: a cap for decompression where nothing is published."""


@dataclass(frozen=True)
class Header:
    """
    What an IDX header promises.

    Args:
        dtype: of the body as it is stored: big-endian.
        shape: outermost first, 1 to 8 dimensions, each at least 1.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def offset(self) -> int:
        """Bytes of the header: where the body begins."""
        return 4 + 4 * len(self.shape)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype.name} of shape {' x '.join(map(str, self.shape))}"


def read_header(head: bytes, name: str) -> Header:
    """
    Decode an IDX header.

    Args:    head: the file's first 4 + 4 * rank bytes, or more.  name: for messages.
    Raises:  BadIdx: wrong magic, unknown type, rank 0 or above 8, a dimension of 0, a header that breaks off,
             or a file larger than 64 GiB.
    """
    if len(head) < 4:
        raise _bad(name, "bytes 0-3 (magic number)", "4 bytes", f"{len(head)}")
    if head[:2] != b"\0\0":
        raise _bad(name, "bytes 0-1 (magic number)", "00 00", head[:2].hex(" "))
    if head[2] not in TYPES:
        raise _bad(name, "byte 2 (type)", "08, 09, 0b, 0c, 0d or 0e", head[2:3].hex())
    if not 1 <= (rank := head[3]) <= MAX_RANK:
        raise _bad(name, "byte 3 (rank)", f"1 to {MAX_RANK} dimensions", f"{rank}")
    if len(head) < 4 + 4 * rank:
        raise _bad(name, f"bytes 4-{3 + 4 * rank} (dimensions)", f"{4 * rank} bytes", f"{len(head) - 4}")
    header = Header(TYPES[head[2]], struct.unpack_from(f">{rank}I", head, 4))
    for axis, length in enumerate(header.shape):
        if not length:
            raise _bad(name, f"bytes {4 + 4 * axis}-{7 + 4 * axis} (dimension {axis})", "at least 1", "0")
    if header.size > MAX_BYTES:
        promised = f"{header}, {header.size} bytes"
        raise _bad(name, f"bytes 4-{header.offset - 1} (dimensions)", f"at most {MAX_BYTES} bytes in all", promised)
    return header


@dataclass(frozen=True)
class IdxFile:
    """An IDX file whose header agrees with its size and, where that says something, with its name."""

    path: Path
    header: Header

    def blocks(self, rows: int) -> Iterator[npt.NDArray[Any]]:
        """
        Read the body in blocks, so that memory does not grow with the file.

        Args:   rows: entries of the outermost dimension in a block, at least 1.
        Yields: arrays of shape (rows, *shape[1:]), the last one shorter, in native byte order.
        Raises: BadIdx: the file has shrunk since it was opened.
        """
        samples, *inner = self.header.shape
        with self.path.open("rb") as file:
            file.seek(self.header.offset)
            for start in range(0, samples, rows):
                count = min(rows, samples - start) * math.prod(inner)
                block = np.fromfile(file, self.header.dtype, count)
                if len(block) != count:
                    raise _wrong_size(self.path, self.header, self.path.stat().st_size)
                yield block.astype(block.dtype.newbyteorder("="), copy=False).reshape(-1, *inner)

    def read(self) -> npt.NDArray[Any]:
        """Read the whole body, in native byte order."""
        return next(self.blocks(self.header.shape[0]))


def open_idx(path: Path) -> IdxFile:
    """
    Read the header of an IDX file and hold it against the file.

    A name that ends as the format's own do (`-idx3-ubyte`) says rank and type too: int8 and uint8 bodies are
    equally long, and nothing else tells a wrong type byte from a right one.

    Raises: BadIdx: as `read_header`; the body is shorter or longer than promised; the name says another rank or type.
    """
    with path.open("rb") as file:
        header = read_header(file.read(MAX_HEADER_BYTES), path.name)
        size = file.seek(0, 2)
    if size != header.size:
        raise _wrong_size(path, header, size)
    if said := re.search(rf"idx(\d+)-({'|'.join(NAMED_TYPES)})$", path.name):
        rank, dtype = int(said[1]), NAMED_TYPES[said[2]]
        if (len(header.shape), header.dtype) != (rank, dtype):
            raise _bad(
                path.name, "bytes 2-3 (type and rank)", f"{dtype.name} of rank {rank}, as its name says", f"{header}"
            )
    return IdxFile(path, header)


def _wrong_size(path: Path, header: Header, size: int) -> BadIdx:
    return _bad(path.name, f"body from byte {header.offset}", f"{header}: {header.size} bytes in all", f"{size}")


def _bad(name: str, field: str, expected: str, found: str) -> BadIdx:
    return BadIdx(
        f"{name}, {field}",
        expected=expected,
        found=found,
        way_out="It is damaged or no IDX file: run again with `--refresh download`, or bring another with --mirror.",
    )
