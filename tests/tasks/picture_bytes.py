"""Pictures made byte by byte or by Pillow, whole and damaged, as tests need them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

GREY = ((0, 50, 100), (150, 200, 255))
"""A picture of 2 x 3 that no turning, mirroring or exchange of sides leaves as it is."""


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file of some kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def image(pixels: Any) -> Image.Image:
    """Return rows of grey levels, or of red, green, blue (and alpha), as a picture."""
    return Image.fromarray(np.array(pixels, np.uint8))


def grey(kind: str, **options: Any) -> bytes:
    """Return GREY as a file of some kind."""
    return saved(image(GREY), kind, **options)


def flat(level: int, rows: int = 2, columns: int = 3) -> Image.Image:
    """Return a picture of one level."""
    return image(np.full((rows, columns), level))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    columns: int, rows: int, depth: int, colour: int, lines: list[bytes], more: bytes = b"", interlaced: int = 0
) -> bytes:
    """Return a PNG of these lines, in which nothing is filtered; `more`: chunks before them."""
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, interlaced)
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def interlaced_png(lines: int = 4) -> bytes:
    """Return GREY as an interlaced PNG (Adam7): of the seven passes, four have a line each."""
    return png(3, 2, 8, 0, [bytes([0]), bytes([100]), bytes([50]), bytes([150, 200, 255])][:lines], interlaced=1)


def bmp(columns: int, rows: int, compression: int, palette: bytes, data: bytes) -> bytes:
    """Return a BMP of 8 bits a pixel with a palette; negative rows: from top to bottom."""
    start = 54 + len(palette)
    head = struct.pack("<IHHI", start + len(data), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 8, compression, len(data), 0, 0, len(palette) // 4, 0)
    return b"BM" + head + info + palette + data


def webp(kind: bytes, head: bytes) -> bytes:
    """Return the head of a WebP without a picture behind it."""
    body = b"WEBP" + kind + struct.pack("<I", len(head)) + head + bytes(10)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def turned(kind: str, orientation: int) -> bytes:
    """Return GREY with an orientation of EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return grey(kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))


def tiff(tag: int, value: Any) -> bytes:
    """Return GREY as a TIFF with one more tag."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[tag] = value
    return grey("TIFF", tiffinfo=tags)


def animated(kind: str) -> bytes:
    """Return two frames or pages, of level 10 and 200."""
    return saved(flat(10), kind, save_all=True, append_images=[flat(200)])


def tiff_16(order: str, values: tuple[int, ...], photometric: int = 1) -> bytes:
    """Return a TIFF of one line of 16-bit greys. Args: order: `<` or `>`. photometric: 0: white is 0."""
    tags = (
        (256, len(values)), (257, 1), (258, 16), (259, 1), (262, photometric), (273, 122), (277, 1), (278, 1),
        (279, 2 * len(values)),
    )  # fmt: skip
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 3, 1) + struct.pack(f"{order}HH", value, 0) for tag, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    body = struct.pack(f"{order}{len(values)}H", *values)
    return head + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0) + body
