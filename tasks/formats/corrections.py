"""Labels that a person has corrected, put in the place of those that the files have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.corrections import Correction, Corrections
from schemas.counts import counted
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.image_table import Batch
from schemas.results import SHOWN
from schemas.visible import cell, in_a_line
from tasks.fitting.stratify import Mask
from tasks.formats.ledger import Row


def resolve(corrections: Corrections, ledger: Sequence[Row], part: str, chosen: Mask | None) -> Corrections:
    """
    Find the samples of images that are named by their files.

    Args:
        ledger: of what was packed: which file is which row of which part.
        part:   the part that the split's rows are taken from.
        chosen: bool (n,), which rows of it are the split's; None: all of them.
    Returns: corrections by sample id, ascending.
    Raises:  BadTable: no such file, one that is no image or several, one of another split, or an image twice.
    """
    known = {form: row for row in ledger for form in (cell(row.name), row.name)}
    place = None if chosen is None else np.where(chosen, np.cumsum(chosen) - 1, -1)
    found: dict[int, Correction] = {}
    for one in corrections.rows:
        sample = one.sample
        if sample is None:
            row = known.get(one.file)
            if row is None or row.sample is None or row.samples != 1:
                what = "none of this name" if row is None else row.reason or f"one of {counted(row.samples, 'image')}"
                raise _wrong(corrections, one, "the file of one image", f"{one.file}: {what}")
            within = row.split == part and (place is None or place[row.sample] >= 0)
            if not within:
                raise _wrong(corrections, one, "an image of the split that it names", f"{one.file} in the other split")
            sample = row.sample if place is None else int(place[row.sample])
        if sample in found:
            raise _wrong(corrections, one, "each image once", f"{one.image}, as in line {found[sample].line}")
        found[sample] = one.model_copy(update={"sample": sample})
    return corrections.model_copy(update={"rows": tuple(found[sample] for sample in sorted(found))})


def _wrong(corrections: Corrections, row: Correction, expected: str, found: str) -> BadTable:
    subject, way_out = f"{corrections.name}, line {row.line}", "Correct or remove the line: docs/labels.md."
    return BadTable(subject, expected=expected, found=in_a_line(found), way_out=way_out)


def _samples(corrections: Corrections) -> npt.NDArray[np.int64]:
    return np.array([-1 if row.sample is None else row.sample for row in corrections.rows], np.int64)


def labels_before(
    blocks: Iterable[npt.NDArray[Any]], spec: TableSpec, corrections: Corrections
) -> npt.NDArray[np.int64]:
    """
    Find the labels that are to be replaced, and see that each of them is there, and another one.

    Args:    blocks: of the split's class indices, (n,) each, in table order.
    Returns: int64 (corrections,), class indices.
    Raises:  BadTable: a correction of an image that the split does not have, or to the label that it has already.
    """
    samples = _samples(corrections)
    found, start = np.full(len(samples), -1, np.int64), 0
    for block in blocks:
        stop = start + len(block)
        within = (samples >= start) & (samples < stop)
        found[within] = block[samples[within] - start]
        start = stop
    for row, before in zip(corrections.rows, found.tolist(), strict=True):
        subject = f"{corrections.name}, line {row.line}"
        if before < 0:
            raise BadTable(
                subject,
                expected=f"a sample id of the {spec.split} split, 0 to {start - 1}",
                found=f"{row.sample}",
                way_out=f"It has {counted(start, 'image')}. Correct or remove the line.",
            )
        if before == row.label:
            raise BadTable(
                subject,
                expected="another label than the files have",
                found=f"{spec.classes[before]}, as {spec.split} {row.image} is labelled already",
                way_out="Change the label, or remove the line: what is right needs none.",
            )
    return found


def correct(batches: Iterable[Batch], corrections: Corrections | None) -> Iterator[Batch]:
    """Yield the batches of a split, their labels corrected, and nothing else of them."""
    if corrections is None:
        yield from batches
        return
    samples = _samples(corrections)
    labels = np.array([row.label for row in corrections.rows], np.uint16)
    for batch in batches:
        start = int(batch.sample_id[0])  # sample ids count the rows of a table; see `schemas.image_table`
        within = (samples >= start) & (samples < start + len(batch.label))
        label = batch.label.copy()
        label[samples[within] - start] = labels[within]
        yield replace(batch, label=label)


def tell(corrections: Corrections, before: Sequence[int], classes: Sequence[str]) -> tuple[str, ...]:
    """Say what the first 20 corrections are, by whom and why, a line each. Args: before: the labels replaced."""
    told = []
    for row, label in list(zip(corrections.rows, before, strict=True))[:SHOWN]:
        reason = ": ".join(filter(None, (row.who, row.why)))
        text = f"{row.image}: {classes[label]} -> {classes[row.label]}" + (f" ({reason})" if reason else "")
        told.append(in_a_line(text))
    return tuple(told)
