"""
The IDX format: a typed, rectangular array in a file, as LeCun's MNIST page defines it.

Bytes 0-1 are zero, byte 2 is the type, byte 3 the rank, then one big-endian uint32 a dimension, outermost first;
then the body, row-major and big-endian. Nothing here takes memory on the word of a header: it is first compared
with the size of the file.
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

from schemas.counts import counted
from schemas.errors import BadIdx

TYPES: dict[int, np.dtype[Any]] = {
    code: np.dtype(name) for code, name in ((8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8"))
}
NAMED_TYPES = dict(zip(("ubyte", "byte", "short", "int", "float", "double"), TYPES.values(), strict=True))
MAX_RANK = 8
MAX_HEADER_BYTES = 4 + 4 * MAX_RANK
MAX_BYTES = 64 * 2**30
"""The largest file that a header may promise: a cap for decompression where nothing is published."""
HEADER_BYTES = (8, 16, 20)
"""Of files of labels, grey images, colour images: wrong by as much is one whose header is there twice, or counted."""
CHANNELS = 3
"""Of a colour image."""
TIMES_IMAGES = {2: "twice the images, or 16-bit pixels", 3: "colour", 4: "twice the side, or four channels"}
TIMES_LABELS = {2: "twice the labels, or wider integers", 4: "wider integers", 8: "wider integers"}
NO_IDX = "It is damaged or no IDX file: replace it. docs/datasets.md shows how one is written."
REWRITE = "Write what the header says, or correct the header: docs/datasets.md shows how."
COLOURS = "For colour the header says {}: correct it, or the body. docs/datasets.md shows how."
CORRECT = "Correct the header, or replace the file."
CUT = "It may be cut short: replace it by the whole file, or correct the header."


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
    def body(self) -> int:
        """Bytes after the header."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.offset + self.body

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


def little_endian_header(head: bytes) -> Header | None:
    """
    Read the dimensions little-endian, under a magic number of either byte order.

    Returns: what a header says that was written in a little-endian machine's own numbers; None where it is none.
    """
    if len(head) >= 4 and head[2:4] == b"\0\0":
        head = head[3::-1] + head[4:]
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= (rank := head[3]) <= MAX_RANK:
        return None
    if len(head) < 4 + 4 * rank:
        return None
    header = Header(TYPES[head[2]], struct.unpack_from(f"<{rank}I", head, 4))
    return header if 0 not in header.shape and header.size <= MAX_BYTES else None


def wrong_size(name: str, header: Header, found: int, *, more: bool = False) -> BadIdx:
    """
    Say how long a body is instead of what its header promises, and what that looks like.

    Args: found: bytes of the body.  more: it has more than these; the rest was not counted.
    """
    expected = f"{header}: a body of {counted(header.body, 'byte')}"
    if more:
        return _bad(name, f"body from byte {header.offset}", expected, f"more than {counted(found, 'byte')}", CORRECT)
    looks, way_out = _looks(header, found)
    return _bad(name, f"body from byte {header.offset}", expected, f"{counted(found, 'byte')}{looks}", way_out)


def _looks(header: Header, found: int) -> tuple[str, str]:
    """Return what a body of the wrong length looks like, and the way out."""
    samples, *inner = header.shape
    times, rest = divmod(found, header.body)
    guesses = TIMES_LABELS if not inner else TIMES_IMAGES
    if not rest and times == CHANNELS and len(inner) == 2:
        return f", {times} times that (colour?)", COLOURS.format(" x ".join(map(str, (*header.shape, CHANNELS))))
    if inner[2:] == [CHANNELS] and CHANNELS * found == header.body:
        return ", a third of that (grey?)", REWRITE
    if not rest and times in guesses:
        return f", {times} times that ({guesses[times]}?)", REWRITE
    difference, row = found - header.body, header.body // samples
    way_out = CORRECT if difference > 0 else CUT
    direction = "more" if difference > 0 else "fewer"
    extra = ", as long as a header" if abs(difference) in HEADER_BYTES else ""
    if difference % row == 0:
        what = counted(abs(difference) // row, "image" if len(inner) > 1 else "row" if inner else "value")
        size = f" of {' x '.join(map(str, inner))}" if inner else ""
        return f", {what}{size} {direction} than the header says{extra}", way_out
    return f", {abs(difference)} {direction}{extra}", way_out


@dataclass(frozen=True)
class IdxFile:
    """An IDX file whose header agrees with its size."""

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
                    raise wrong_size(self.path.name, self.header, self.path.stat().st_size - self.header.offset)
                yield block.astype(block.dtype.newbyteorder("="), copy=False).reshape(-1, *inner)

    def read(self) -> npt.NDArray[Any]:
        """Read the whole body, in native byte order."""
        return next(self.blocks(self.header.shape[0]))


def open_idx(path: Path) -> IdxFile:
    """
    Read the header of an IDX file and compare it with the size of the file.

    Raises: BadIdx: as `read_header`; the body is shorter or longer than promised.
    """
    with path.open("rb") as file:
        header = read_header(file.read(MAX_HEADER_BYTES), path.name)
        size = file.seek(0, 2)
    if size != header.size:
        raise wrong_size(path.name, header, size - header.offset)
    return IdxFile(path, header)


def disagreement(name: str, header: Header) -> str | None:
    """
    Say in what a name that ends as the format's own do (`-idx3-ubyte`) is unlike the header; None: in nothing.

    That is no error: many public sets have labels under `-idx3-`, or int32 ones under `-ubyte`, and the bytes count.
    """
    said = re.search(rf"idx(\d+)-({'|'.join(NAMED_TYPES)})$", name)
    if said is None or (len(header.shape), header.dtype) == (int(said[1]), NAMED_TYPES[said[2]]):
        return None
    return f"its name says {NAMED_TYPES[said[2]].name} of rank {said[1]}, its header {header}; the header counts"


def _bad(name: str, field: str, expected: str, found: str, way_out: str = NO_IDX) -> BadIdx:
    return BadIdx(f"{name}, {field}", expected=expected, found=found, way_out=way_out)
