"""Which rows of the train table are held out of training, and whether every class is left to train on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.counts import counted
from schemas.errors import StageError
from schemas.held_out import Way
from schemas.image_table import ImageTable
from schemas.training import Training
from tasks.fitting.dealing import Deal
from tasks.fitting.stratify import Counts, Mask, choose, share_of
from tasks.quality.profile import digest_images

NAMED = 3
"""Classes that a message names; the others are in its count."""


@dataclass(frozen=True, eq=False)
class Holding:
    """
    What is held out of a table.

    Args:
        rows:     bool (n,), True where a row is held out.
        way:      how they were chosen.
        findings: what is unusual about them, one sentence each.
        apart:    bool (n,), True where a row is neither trained on nor held out; None: nowhere.
    """

    rows: Mask
    way: Way
    findings: tuple[str, ...] = ()
    apart: Mask | None = None

    @property
    def fitted(self) -> Mask:
        """Which rows are trained on: bool (n,)."""
        return ~self.rows if self.apart is None else ~(self.rows | self.apart)

    @property
    def trained(self) -> int:
        """How many rows are trained on."""
        return int(np.count_nonzero(self.fitted))


def hold_out(table: ImageTable, way: Way, training: Training, deal: Deal | None = None) -> Holding:
    """
    Hold `training.validation_fraction` of a table's rows out.

    Args:
        deal: how groups of copies are dealt out, where the way is "stratified"; None: equal images alone are kept
              together.
    Raises:
        StageError: no row, or none of a class that has images, would be left to train on; or none is held out, where
                    the training is to end by the held-out rows (`patience`).
        BadTable:   a row group is damaged.
    """
    samples, fraction, classes = table.samples, training.validation_fraction, table.metadata.classes
    kept = count_train_rows(samples, fraction)
    if way == "last" or kept == samples:
        labels, held = table.labels(), np.arange(samples) >= kept
    else:
        labels, digests = np.empty(samples, np.uint16), np.empty(samples, np.uint64)
        start = 0
        for batch in table.batches():
            stop = start + len(batch.label)
            labels[start:stop], digests[start:stop] = batch.label, digest_images(batch.image)
            start = stop
        seed = training.seed
        held = deal.held(digests, fraction, seed) if deal else choose(labels, digests, fraction, seed)
    counts, of_held = (np.bincount(each, minlength=len(classes)) for each in (labels, labels[held]))
    refuse_untrained(classes, counts, of_held, training)
    if kept < samples and not held.any():
        return Holding(held, way, (nothing_held_out(samples, training),))
    return Holding(held, way, find_uneven(classes, counts, of_held, way, drawn=deal is not None))


def nothing_held_out(samples: int, training: Training) -> str:
    """Say that no row could be held out. Raises: StageError: the training is to end by the held-out rows."""
    found = f"no row of {samples} can be held out: there are too few different images of each class"
    if training.patience:
        raise StageError(
            "training.patience",
            expected="held-out rows to end the training by",
            found=found,
            way_out="Bring more images, or run all epochs: `--set training.patience=0`.",
        )
    return f"{found[0].upper()}{found[1:]}; there is no validation"


def refuse_untrained(classes: Sequence[str], counts: Counts, held: Counts, training: Training) -> None:
    """
    See that each class that has rows is trained on.

    Args:   counts, held: rows of each class, and how many of them are held out: int64 (classes,).
    Raises: StageError: all rows of a class are held out.
    """
    untrained = np.flatnonzero((counts > 0) & (held == counts))
    if len(untrained):
        several = "classes" if len(untrained) > 1 else "class"
        off = "training.validation_fraction=0" + (" training.patience=0" if training.patience else "")
        raise StageError(
            "held-out rows",
            expected="rows of every class left to train on",
            found=f"all rows of the {several} {name_classes(classes, untrained)} held out",
            way_out='Write held_out = "stratified" into the description of your set, above its tables; '
            f"or hold out less: nothing, by `--set {off}`.",
        )


def find_uneven(
    classes: Sequence[str], counts: Counts, held: Counts, way: Way, *, drawn: bool = False
) -> tuple[str, ...]:
    """
    Say, in a sentence, which classes are not held out at all, and which more than twice as often as the others.

    One row too many does not count: of a small class it is what rounding makes.

    Args: drawn: each group was dealt out by itself: of a small class it is chance if there are more.
    """
    if not held.any():
        return ()
    shares = share_of(counts, int(held.sum()))
    absent = np.flatnonzero((counts > 0) & (held == 0))
    more = np.flatnonzero((held > 2 * shares) & (held > shares + 1) & (not drawn))
    said, present = [], counted(int(np.count_nonzero(counts)), "class")
    if len(absent):
        said.append(f"no row of {len(absent)} of {present} is held out ({name_classes(classes, absent)})")
    if len(more):
        said.append(f"more than twice its share of {len(more)} of {present} ({name_classes(classes, more)})")
    if not said:
        return ()
    ways_out = {
        "last": 'hold out others by held_out = "stratified" in the description of your set',
        "stratified": "there are too few different images of them",
    }
    words = ", and ".join(said)
    return (f"{words[0].upper()}{words[1:]}: what validation says of them is worth little; {ways_out[way]}",)


def name_classes(classes: Sequence[str], which: npt.NDArray[np.int64]) -> str:
    """Return the names of the first few of some classes."""
    return ", ".join([*(classes[label] for label in which[:NAMED]), *(["..."] if len(which) > NAMED else [])])


def count_train_rows(rows: int, validation_fraction: float) -> int:
    """
    Return how many rows are trained on; the others are held out. Rounds as Keras's `validation_split`.

    Raises: StageError: none would be left.
    """
    kept = math.floor(rows * (1 - validation_fraction))
    if kept < 1:
        raise StageError(
            "training.validation_fraction",
            expected="at least one row left to train on",
            found=f"{validation_fraction:g} of {counted(rows, 'row')} held out",
            way_out="Hold out less, `--set training.validation_fraction=0` for nothing, or bring more images.",
        )
    return kept
