"""Folds: the rows of a table dealt out evenly, so that each can be scored by a network that has not seen it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from schemas.counts import counted
from schemas.errors import StageError
from schemas.image_table import ImageTable
from schemas.parameters import Parameters, Wanted
from tasks.fitting.dealing import Deal
from tasks.fitting.stratify import Digests, Labels, Mask, mix
from tasks.quality.profile import digest_images

SEED = 2**32 + 2
"""Of the order in which images are dealt; beyond the seeds of training, and none of `tasks.fitting.dealing`."""
MOST = 100


class Fold(Parameters):
    """One of several folds: `number` 1 is the first `of` them."""

    number: int = Field(ge=1)
    of: int = Field(ge=2, le=MOST)

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Fold:
        if self.number > self.of:
            raise Wanted(f"a number from 1 to {self.of}", f"fold {self.number}")
        return self

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"


def deal(labels: Labels, digests: Digests, folds: int) -> npt.NDArray[np.uint8]:
    """
    Deal rows into folds: of each class as many into each as into any other, or one more; equal images into one.

    Which fold an image is in follows from the images and labels alone, and not from their order. Where equal images
    have several labels, the lowest stands for all of them.

    Args:
        labels:  uint16 (n,), class indices.
        digests: uint64 (n,), of the images' pixels.
        folds:   at least 2.
    Returns: uint8 (n,), 0 to folds - 1.
    """
    values, group = np.unique(digests, return_inverse=True)
    label = np.full(len(values), np.iinfo(np.uint16).max, np.uint16)
    np.minimum.at(label, group, labels)
    order = np.lexsort((mix(values, SEED), label))
    fold = np.empty(len(values), np.uint8)
    fold[order] = np.arange(len(values)) % folds
    dealt: npt.NDArray[np.uint8] = fold[group]
    return dealt


def deal_table(table: ImageTable, folds: int, copies: Deal | None = None) -> npt.NDArray[np.uint8]:
    """
    Deal the rows of a table into folds; see `deal`.

    Args:   copies: groups of copies, each of which is dealt as one image; None: equal images alone are.
    Raises: StageError: there are fewer different images than folds.  BadTable: a row group is damaged.
    """
    labels, digests = np.empty(table.samples, np.uint16), np.empty(table.samples, np.uint64)
    start = 0
    for batch in table.batches():
        stop = start + len(batch.label)
        labels[start:stop], digests[start:stop] = batch.label, digest_images(batch.image)
        start = stop
    if copies:
        digests = copies.groups_of(digests)
    different = len(np.unique(digests))
    if different < folds:
        raise StageError(
            "--folds",
            expected=f"at least {folds} different train images, one a fold",
            found=counted(different, "image"),
            way_out="Ask for fewer folds, 2 at least, or bring more images.",
        )
    return deal(labels, digests, folds)


def rows_of_fold(table: ImageTable, fold: Fold, copies: Deal | None = None) -> Mask:
    """Return which rows of a table are in a fold: bool (n,). Raises: as `deal_table`."""
    rows: Mask = deal_table(table, fold.of, copies) == fold.number - 1
    return rows
