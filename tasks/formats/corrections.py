"""Labels that a person has corrected, put in the place of those that the files have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.corrections import Corrections
from schemas.counts import counted
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.image_table import Batch
from schemas.results import SHOWN
from schemas.visible import in_a_line


def labels_before(
    blocks: Iterable[npt.NDArray[Any]], spec: TableSpec, corrections: Corrections
) -> npt.NDArray[np.int64]:
    """
    Find the labels that are to be replaced, and see that each of them is there, and another one.

    Args:    blocks: of the split's class indices, (n,) each, in table order.
    Returns: int64 (corrections,), class indices.
    Raises:  BadTable: a correction of an image that the split does not have, or to the label that it has already.
    """
    samples = np.array([row.sample for row in corrections.rows])
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
                found=f"{spec.classes[before]}, as {spec.split} sample {row.sample} is labelled already",
                way_out="Change the label, or remove the line: what is right needs none.",
            )
    return found


def correct(batches: Iterable[Batch], corrections: Corrections | None) -> Iterator[Batch]:
    """Yield the batches of a split, their labels corrected, and nothing else of them."""
    if corrections is None:
        yield from batches
        return
    samples = np.array([row.sample for row in corrections.rows])
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
        text = f"sample {row.sample}: {classes[label]} -> {classes[row.label]}" + (f" ({reason})" if reason else "")
        told.append(in_a_line(text))
    return tuple(told)
