"""
Whether a PNG is whole: the checksum of each chunk, and how many bytes of pixels it holds (PNG, third edition, W3C).

Pillow looks at neither: a damaged byte gives wrong pixels, and lines that are not there are black.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from schemas.visible import in_a_line
from tasks.formats.refused import Refused

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a colour type."""
PASSES = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
"""Of Adam7: first row and step, first column and step."""
BLOCK = 2**20

HARMLESS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT"})
"""Chunks that say nothing about what the pixels are, where these are grey or colour of 8 bits."""


class Png(NamedTuple):
    """
    The chunks of a PNG.

    Args:
        header: content of its first chunk, IHDR where it is a PNG.
        pieces: content of each IDAT.
        kinds:  of all chunks.
    """

    header: memoryview
    pieces: list[memoryview]
    kinds: set[bytes]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int.from_bytes(self.header[4:8]), int.from_bytes(self.header[:4])

    @property
    def plain(self) -> str:
        """Return L or RGB where it is just pixels of 8 bits, line after line, in grey or colour; else nothing."""
        if len(self.header) != 13 or not self.kinds <= HARMLESS or b"IHDR" not in self.kinds or 0 in self.size:
            return ""
        return PLAIN.get(bytes(self.header[8:]), "")


PLAIN = {b"\x08\0\0\0\0": "L", b"\x08\2\0\0\0": "RGB"}
"""Depth, colour type, compression, filter and interlacing of plain pixels, and the mode of Pillow."""


def check_chunks(data: bytes) -> Png:
    """
    Check the CRC-32 of each chunk of a PNG, up to its end; what follows that is left alone.

    Raises: Refused: a wrong checksum, or no end.
    """
    at, view = len(PNG_MAGIC), memoryview(data)
    header, pieces, kinds = memoryview(b""), list[memoryview](), set[bytes]()
    while True:
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data) or at + 12 > len(data):
            raise Refused("it is cut short: a PNG without its last chunk")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise Refused(
                f"it is damaged: the checksum of its PNG chunk {in_a_line(kind.decode('ascii', 'replace'))} is wrong"
            )
        if not kinds:
            header = view[at + 8 : end - 4]
        kinds.add(kind)
        if kind == b"IDAT":
            pieces.append(view[at + 8 : end - 4])
        elif kind == b"IEND":
            return Png(header, pieces, kinds)
        at = end


def check_pixels(png: Png) -> None:
    """
    Inflate the pixels of a PNG, count their bytes and check their Adler-32. Its header has been read by Pillow.

    Raises: Refused: there are fewer than rows and columns take, or they are damaged.
    """
    expected, found, pieces = _expected(png.header), 0, png.pieces
    if len(pieces) == 1 and expected < BLOCK:  # nearly always
        found = len(inflate(pieces[0], expected + 1))
    else:
        found = _inflated_bytes(pieces, expected)
    if found < expected:
        raise Refused(f"it is damaged: it holds {found} bytes of pixels, where its size takes {expected}")


def inflate(piece: memoryview, most: int) -> bytes:
    """Inflate at most so many bytes of pixels and check their Adler-32 where they are all. Raises: Refused: damaged."""
    try:
        return zlib.decompressobj().decompress(piece, most)
    except zlib.error as error:
        raise _damaged(error) from error


def _inflated_bytes(pieces: list[memoryview], most: int) -> int:
    """Count the bytes of pixels, up to one more than `most`."""
    inflater, found = zlib.decompressobj(), 0
    try:
        for piece in pieces:
            rest: bytes | memoryview = piece
            while rest and found <= most:
                found += len(inflater.decompress(rest, BLOCK))
                rest = inflater.unconsumed_tail
        while found <= most and (more := inflater.decompress(inflater.unconsumed_tail, BLOCK)):
            found += len(more)
    except zlib.error as error:
        raise _damaged(error) from error
    return found


def _damaged(error: zlib.error) -> Refused:
    return Refused(f"it is damaged: its pixels cannot be inflated ({error})")


def _expected(header: memoryview) -> int:
    """Return how many bytes the pixels take, with the filter's byte before each line."""
    columns, rows = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    depth, channels, interlaced = header[8], CHANNELS[header[9]], header[12]
    if not interlaced:
        return rows * (1 + (columns * channels * depth + 7) // 8)
    total = 0
    for first_row, row_step, first_column, column_step in PASSES:
        lines = (rows - first_row + row_step - 1) // row_step
        across = (columns - first_column + column_step - 1) // column_step
        total += lines * (1 + (across * channels * depth + 7) // 8) if lines > 0 and across > 0 else 0
    return total
