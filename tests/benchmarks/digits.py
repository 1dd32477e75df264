"""The bundled digits stand for MNIST: the same four names, 1,797 images of 8 x 8 pixels."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import schemas.catalog
from schemas.image_table import Batch

DIGITS = Path(schemas.catalog.__file__).parent / "digits"


def read_split(kind: str) -> Batch:
    """Read a split, `train` or `t10k`, without the reader of the product or of the tutorial."""
    images, label = (
        np.frombuffer(gzip.decompress((DIGITS / f"{kind}-{what}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for what, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    rows = np.arange(len(label), dtype=np.uint32)
    return Batch(rows, label.astype(np.uint16), images.reshape(len(label), -1))
