"""Every wrong image of a report: small PNGs in the page itself, by the cell of the confusion matrix."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.explaining.page import Cell, Mistake, WrongImage

BYTES = 1_500_000
"""Of all of these images in a page, as text, at most: with its figures it stays below 3 MB."""
SIDE = 64
"""Pixels of an image's longer side, at most."""
MOST = 2_000
"""Images that are looked at, those with the highest loss."""


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    data: bytes

    def __bytes__(self) -> bytes:
        body = self.kind + self.data
        return len(self.data).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)


def png_address(image: npt.NDArray[np.uint8]) -> str:
    """Return an image, uint8 (rows, columns) or (rows, columns, 3), as the `data:` address of a PNG."""
    rows, columns = image.shape[:2]
    header = columns.to_bytes(4) + rows.to_bytes(4) + (b"\x08\0\0\0\0" if image.ndim == 2 else b"\x08\2\0\0\0")
    lines = np.pad(image.reshape(rows, -1), [(0, 0), (1, 0)])  # each begins with its filter, 0: none
    chunks = (_Chunk(b"IHDR", header), _Chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), _Chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(map(bytes, chunks))).decode()


def fill_cells(
    pairs: Iterable[tuple[int, int, int]],
    mistakes: Iterable[Mistake],
    images: Mapping[int, npt.NDArray[np.uint8]],
    most: int = BYTES,
) -> tuple[Cell, ...]:
    """
    Put wrong images into their cells, those with the highest loss first, for as long as there is room.

    Args:
        pairs:    true class, predicted class and number of images, of all cells.
        mistakes: the highest loss first.
        images:   by sample id.
        most:     characters of all images together.
    Returns: the cells off the diagonal, in class order; one for whose images there is no room has none.
    """
    shown: dict[tuple[int, int], list[WrongImage]] = {}
    for one in mistakes:
        address = png_address(images[one.sample_id])
        if (most := most - len(address)) < 0:
            break
        found = WrongImage(one.sample_id, one.probability, math.exp(-one.loss), address)
        shown.setdefault((one.true, one.predicted), []).append(found)
    return tuple(
        Cell(true, predicted, count, tuple(shown.get((true, predicted), ())))
        for true, predicted, count in sorted(pairs)
        if true != predicted and count
    )
