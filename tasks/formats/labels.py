"""
Labels: what a label file holds, as class indices; and what is wrong with labels that do not fit their classes.

A fault is said with what the labels are and the option that fits them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.counts import counted
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from tasks.formats.idx import IdxFile

NUMBERS = 2**20
"""Numbers that are read at once, so that wide rows take no more memory."""
ODD = 0.05
"""Share of rows that may be no one-hot ones in labels that are taken for such."""
OUTSIDE = -1
"""The index of what is no class: a value that `label_values` does not have, a row that is not one-hot."""


@dataclass(frozen=True)
class LabelFile:
    """An open label file: labels of shape (n,), or (n, columns). Args: name: what its description calls it."""

    name: str
    idx: IdxFile

    @property
    def columns(self) -> int | None:
        """Numbers in a row; None where the labels are of shape (n,), or of more than two dimensions."""
        shape = self.idx.header.shape
        return shape[1] if len(shape) == 2 else None

    def rows_within(self, rows: int) -> int:
        """Return `rows`, or as many as 2^20 numbers make."""
        return max(1, min(rows, NUMBERS // math.prod(self.idx.header.shape[1:])))


def class_indices(labels: LabelFile, spec: TableSpec, rows: int) -> Iterator[npt.NDArray[np.int64]]:
    """
    Yield the labels as int64 class indices, in blocks of `rows` at most.

    An index outside of 0 to classes - 1 is what the stored label gives by `label_offset`, else `OUTSIDE`.
    """
    for block in labels.idx.blocks(labels.rows_within(rows)):
        yield hot(block) if spec.labels == "one-hot" else to_indices(_column(block, spec), spec)


def stored_labels(labels: LabelFile, spec: TableSpec, rows: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield integer labels as they are stored, int64 (n,), in blocks of `rows` at most."""
    for block in labels.idx.blocks(labels.rows_within(rows)):
        yield _column(block, spec).astype(np.int64)


def to_indices(stored: npt.NDArray[Any], spec: TableSpec) -> npt.NDArray[np.int64]:
    """Return the class indices of stored integer labels, of shape (n,); int64."""
    if spec.label_values is None:
        return stored.astype(np.int64) - spec.label_offset
    values = np.array(spec.label_values, np.int64)
    order = np.argsort(values)
    place = order[np.searchsorted(values[order], stored).clip(max=len(values) - 1)]
    return np.where(values[place] == stored, place, OUTSIDE)


def is_one_hot(labels: LabelFile) -> bool:
    """
    Return whether rows have one 1 and are 0 elsewhere, in two columns or more, of whatever type.

    Nearly all of them: a few blank or doubled rows make one-hot labels no numbers.
    """
    if (labels.columns or 0) < 2:
        return False
    rows = odd = 0
    for block in labels.idx.blocks(labels.rows_within(NUMBERS)):
        if not np.isin(block, (0, 1)).all():
            return False
        rows, odd = rows + len(block), odd + int((hot(block) == OUTSIDE).sum())
    return odd <= rows * ODD


def hot(block: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the column of the one 1 in each row, or OUTSIDE where there is not one, or anything but 0 beside it."""
    ones = block == 1
    sound = (ones.sum(axis=1) == 1) & (np.count_nonzero(block, axis=1) == 1)
    return np.where(sound, ones.argmax(axis=1), OUTSIDE)


def _column(block: npt.NDArray[Any], spec: TableSpec) -> npt.NDArray[Any]:
    """Return the one label of each row; n x 1 labels need no `label_column`."""
    column: npt.NDArray[Any] = block if block.ndim == 1 else block[:, spec.label_column or 0]
    return column


SHOWN = 6
"""Stored labels that a message lists; of more it says the range."""
FIRST = 5
"""Samples that a message names."""
LISTED = 12
"""Stored labels that an option of a message lists; of more it says how many."""
DISTINCT = 2**16
"""Different labels that are kept: as many as a data set may have classes."""


@dataclass(frozen=True)
class Survey:
    """
    What the label files of a split hold.

    Args:
        values:  int64, the different stored labels in ascending order; the first 65,536 and the two ends, of more.
        samples: labels in all.
        outside: those that are of no class.
        first:   sample id and stored label of the first five of them.
        file:    the file that the first is in.
        others:  how many other files have such labels.
    """

    values: npt.NDArray[np.int64]
    samples: int
    outside: int
    first: tuple[tuple[int, int], ...]
    file: LabelFile
    others: int

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest stored label."""
        return int(self.values[0]), int(self.values[-1])

    @property
    def subject(self) -> str:
        """The file or files that the error is about."""
        return f"{self.file.name} and {self.others} more" if self.others else self.file.name


def check_label_header(labels: LabelFile, spec: TableSpec) -> None:
    """
    Check type and shape of a label file.

    Labels are integers of shape n or n x 1, or n x columns where `label_column` says which one counts; or with
    `labels = "one-hot"` n x classes, of any type.

    Raises: BadTable: they are of another, and which option would read them.
    """
    header, columns = labels.idx.header, labels.columns
    if spec.labels == "one-hot":
        if columns != len(spec.classes):
            expected = f"one-hot labels of shape n x {len(spec.classes)}, a column for each class"
            own = f"Name all {columns} classes in {{}}." if columns else _take_out('labels = "one-hot"', spec)
            raise _bad(labels.name, expected, f"{header}", spec, own)
        return
    if columns and is_one_hot(labels):
        expected, found = f"one number for each of {len(spec.classes)} classes", f"one-hot labels, {header}"
        if spec.label_column is not None:
            found += f", of which column {spec.label_column} only says yes or no to one class"
        raise _bad(labels.name, expected, found, spec, _one_hot_option(columns, spec))
    if header.dtype.kind not in "iu":
        own = "Write them as integers, as by labels.astype('uint8')."
        raise _bad(labels.name, "integer labels", f"{header}", spec, own)
    if spec.label_column is None and len(header.shape) > 1 and columns != 1:
        own = f"Say which column is the label: label_column = 0 to {columns - 1}, in {{}}." if columns else _ONE
        raise _bad(labels.name, "labels of shape n, since no label_column is set", f"{header}", spec, own)
    if spec.label_column is not None and spec.label_column >= (columns or 0):
        expected = f"labels of shape n x columns, with a column {spec.label_column}"
        most = (columns or 1) - 1
        own = _of_split(f"Set label_column to 0 to {most} in {{}}.", spec) if most else _take_out("label_column", spec)
        raise _bad(labels.name, expected, f"{header}", spec, own)


def misfit(files: Sequence[LabelFile], spec: TableSpec) -> BadTable:
    """Return the error about labels, of sound type and shape, some of which are of no class."""
    if spec.labels == "one-hot":
        return _not_one_hot(files, spec)
    found = survey(files, spec)
    classes = len(spec.classes)
    last = spec.label_offset + classes - 1
    meant = _listed(spec.label_values) if spec.label_values else f"{spec.label_offset} to {last}"
    expected = f"labels {meant} ({classes} classes)"
    if swapped := byte_order(found):
        low, high = found.ends
        return _bad(found.subject, expected, f"{low} to {high}, {swapped}", spec, _ORDER)
    text = spread(found.values)
    if len(found.values) > classes:
        few = ", ".join(f"sample {sample} is {label}" for sample, label in found.first)
        more = ", ..." if found.outside > len(found.first) else ""
        text += f": {found.outside} of {found.samples} outside ({few}{more})"
    return _bad(found.subject, expected, text, spec, option(found, spec))


def survey(files: Sequence[LabelFile], spec: TableSpec) -> Survey:
    """Look at all stored labels of a split, one of which at least is of no class."""
    values, samples, outside = np.empty(0, np.int64), 0, 0
    wrong, first = list[LabelFile](), list[tuple[int, int]]()
    for file, block in _blocks(files, spec):
        values = _capped(np.union1d(values, block))
        index = to_indices(block, spec)
        places = np.flatnonzero((index < 0) | (index >= len(spec.classes)))
        first += [(samples + int(place), int(block[place])) for place in places[: FIRST - len(first)]]
        if len(places) and file not in wrong:
            wrong.append(file)
        samples, outside = samples + len(block), outside + len(places)
    return Survey(values, samples, outside, tuple(first), wrong[0], len(wrong) - 1)


def byte_order(found: Survey) -> str:
    """Say that labels look as if the wrong end of each number were first: all multiples of 2^24, or 2^8 of int16."""
    bits = 8 * (found.file.idx.header.dtype.itemsize - 1)
    if not bits or not found.values.any() or (found.values % 2**bits).any():
        return ""
    return f"all multiples of 2^{bits}: written in the wrong byte order"


_ONE = "Labels are one number for each image."
_ROWS = "Correct these rows."
_ORDER = "Write them with the highest byte first, as by labels.astype('>i4'), or as uint8."


def option(found: Survey, spec: TableSpec) -> str:
    """Return the option that fits the stored labels, as a way out; `{}` stands for the description's name."""
    low, high = found.ends
    values, classes = len(found.values), len(spec.classes)
    if _is_shifted(found, spec):
        return _offset(low, spec)
    if values > classes:
        if values > DISTINCT or 2 * values > found.samples:
            return "Bring the file that belongs here: these are no classes."
        if values == high - low + 1 and low in {0, 1}:
            return f"Name all {values} classes in {{}}{', with label_offset = 1' if low else ''}."
        return f"Correct those labels, or name all {values} classes in {{}}, with label_values."
    if spec.label_values is None and low >= 1 and high == classes:
        return _offset(1, spec, also=' and checks.missing_class = "warn"' if spec.split == "train" else "")
    return _values_option(found, spec)


def _values_option(found: Survey, spec: TableSpec) -> str:
    """Return what `label_values` has to be for as many stored labels as there are classes, or fewer."""
    low, high = found.ends
    classes = len(spec.classes)
    if spec.label_values is not None and low >= 0 and high < classes:
        return _take_out("label_values", spec)
    if len(found.values) < classes:
        return _of_split(f"Add label_values, the stored label of each of the {classes} classes, to {{}}.", spec)
    verb, where = ("Set", "in") if spec.label_values else ("Add", "to")
    listed = f" = [{_listed(found.values)}]" if classes <= LISTED else f", the {classes} of them in order,"
    return _of_split(f"{verb} label_values{listed} {where} {{}}.", spec)


def spread(values: npt.NDArray[np.int64]) -> str:
    """Say which values there are: `1 to 4`, `-1 and 1`, `0 to 255 (47 different ones)`."""
    low, high = int(values[0]), int(values[-1])
    if len(values) == 1:
        return f"{low} only"
    if len(values) == high - low + 1:
        return f"{low} to {high}"
    if len(values) <= SHOWN:
        return f"{_listed(values[:-1])} and {high}"
    return f"{low} to {high} ({len(values)} different ones)"


def _is_shifted(found: Survey, spec: TableSpec) -> bool:
    low, high = found.ends
    return high - low + 1 == len(spec.classes) and spec.label_values is None


def _offset(offset: int, spec: TableSpec, also: str = "") -> str:
    verb, where = ("Set", "in") if spec.label_offset else ("Add", "to")
    return _of_split(f"{verb} label_offset = {offset}{also} {where} {{}}.", spec)


def _of_split(own: str, spec: TableSpec) -> str:
    """Add how an option is said of one split: the other one may be sound, or become wrong by it."""
    said = spec.label_offset or spec.label_values or spec.label_column is not None
    if spec.test_fraction is not None or (spec.split == "train" and not said):
        return own  # both splits are of the same files, or nothing is said yet
    return f"{own[:-1]}; below [{spec.split}] if that holds for the {spec.split} labels only."


def _take_out(option: str, spec: TableSpec) -> str:
    """Say how an option that does not hold for this split is taken from it."""
    if spec.test_fraction is not None:
        return f"Take {option} out of {{}}."
    return f"Take {option} out of {{}}, or write it below [{'test' if spec.split == 'train' else 'train'}] only."


def _one_hot_option(columns: int | None, spec: TableSpec) -> str:
    said = next((name for name in ("label_column", "label_values", "label_offset") if getattr(spec, name)), None)
    said = "label_column" if spec.label_column is not None else said
    option = f'Write labels = "one-hot" in place of {said} in {{}}' if said else 'Add labels = "one-hot" to {}'
    more = "" if columns == len(spec.classes) else f", and name all {columns} classes"
    return _of_split(f"{option}{more}.", spec)


def _not_one_hot(files: Sequence[LabelFile], spec: TableSpec) -> BadTable:
    samples, wrong, first, subject = 0, 0, "", ""
    for file in files:
        for block in file.idx.blocks(file.rows_within(NUMBERS)):
            places = np.flatnonzero(hot(block) == OUTSIDE)
            if len(places) and not subject:
                subject = file.name
                row = ", ".join(f"{value:g}" for value in block[places[0]][:SHOWN])
                first = f"sample {samples + int(places[0])} is {row}{', ...' if block.shape[1] > SHOWN else ''}"
            samples, wrong = samples + len(block), wrong + len(places)
    found = f"{wrong} of {counted(samples, 'row')} that are not so ({first})"
    return _bad(subject, "one 1 in each row and 0 elsewhere", found, spec, _ROWS)


def _blocks(files: Sequence[LabelFile], spec: TableSpec) -> Iterator[tuple[LabelFile, npt.NDArray[np.int64]]]:
    for file in files:
        for block in stored_labels(file, spec, NUMBERS):
            yield file, block


def _capped(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return values if len(values) <= DISTINCT + 1 else np.append(values[:DISTINCT], values[-1])


def _listed(values: Sequence[int] | npt.NDArray[np.int64]) -> str:
    few = ", ".join(str(value) for value in values[:LISTED])
    return few if len(values) <= LISTED else f"{few}, ..."


def _bad(subject: str, expected: str, found: str, spec: TableSpec, own: str) -> BadTable:
    """Make the error; `own`: the way out for a set of one's own, with {} for its description."""
    return BadTable(subject, expected=expected, found=found, way_out=spec.way_out(own.replace("{}", spec.described_in)))
