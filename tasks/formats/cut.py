"""Cut a test split off the files of the train split: each of the two takes its own rows of the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.datasets import TableSpec
from schemas.errors import BadTable
from tasks.fitting.dealing import Deal
from tasks.fitting.stratify import Mask, choose
from tasks.quality.profile import digest_images

SEED = 2**32
"""Of every cut, so that a set is always cut in the same way; beyond the seeds of training, which draw other rows."""


def rows_of(
    spec: TableSpec, images: Iterable[npt.NDArray[Any]], labels: Iterable[npt.NDArray[Any]], deal: Deal | None = None
) -> Mask:
    """
    Choose the rows of one split: in the classes' proportions, equal images in one split, whatever their order.

    Args:
        spec:   of the split, with a `test_fraction`.
        images: blocks of uint8 (n, rows, columns), or in colour (n, rows, columns, 3), of all files.
        labels: blocks of class indices (n,), of all files.
        deal:   how groups of copies are dealt out; None: equal images alone are kept together.
    Returns: bool (n,), True where a row is of that split.
    Raises:  BadTable: there would be none.
    """
    fraction = spec.test_fraction or 0.0
    digests = np.concatenate([digest_images(block.reshape(len(block), -1)) for block in images])
    if deal:
        test = deal.tested(digests, fraction)
    else:
        test = choose(np.concatenate(list(labels)).astype(np.uint16), digests, fraction, SEED)
    rows = test if spec.split == "test" else ~test
    if not rows.any():
        raise BadTable(
            f"{spec.dataset} {spec.split} split",
            expected=f"an image at least, with test.fraction = {fraction:g}",
            found=f"none of {len(rows)}",
            way_out="Bring more images: one of each class at least, and all that are equal, stay in the train split.",
        )
    return rows


def select(blocks: Iterable[npt.NDArray[Any]], rows: Mask) -> Iterator[npt.NDArray[Any]]:
    """Yield the chosen rows of consecutive blocks, block by block."""
    start = 0
    for block in blocks:
        yield block[rows[start : start + len(block)]]
        start += len(block)
