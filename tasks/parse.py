"""Parse: the images and labels of a split become one Parquet table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.image_table import Batch, TableMetadata, rows_per_group, write_table
from schemas.summary import Summary
from tasks.cut import rows_of, select
from tasks.idx import IdxFile, open_idx
from tasks.stratify import Mask

LABEL_ROWS = 2**20
SHOWN = 5


class TableSummary(Summary):
    """What the table holds."""

    rows: int
    shape: tuple[int, int]
    bytes: int
    per_class: dict[str, int]


def open_shard(images: Path, labels: Path, spec: TableSpec) -> tuple[IdxFile, IdxFile]:
    """
    Open an image and a label file that belong together.

    Images are uint8 of shape (n, rows, columns); labels of any integer type and shape (n,), or (n, columns) where
    `label_column` says which one is the label.

    Raises: BadIdx: malformed.  BadTable: exchanged by mistake, not of the type or shape, or different in number.
    """
    pixels, marks = open_idx(images), open_idx(labels)
    ranks = len(pixels.header.shape), len(marks.header.shape)
    if ranks[0] < 3 <= ranks[1]:
        raise BadTable(
            f"{images.name} and {labels.name}",
            expected="images (rank 3), then labels",
            found=f"ranks {ranks[0]} and {ranks[1]}",
            way_out="They look exchanged: name the image file as images and the label file as labels.",
        )
    if pixels.header.dtype != np.uint8 or pixels.header.shape[1:] != spec.shape:
        rows, columns = spec.shape
        raise _bad(images.name, f"uint8 images of shape n x {rows} x {columns}", f"{pixels.header}")
    _check_labels(marks, spec)
    counts = pixels.header.shape[0], marks.header.shape[0]
    if counts[0] != counts[1]:
        raise _bad(f"{images.name} and {labels.name}", f"a label for each of {counts[0]} images", f"{counts[1]} labels")
    return pixels, marks


def _check_labels(labels: IdxFile, spec: TableSpec) -> None:
    name, columns = labels.path.name, labels.header.shape[1:]
    if labels.header.dtype.kind not in "iu":
        raise _bad(name, "integer labels", f"{labels.header}")
    if spec.label_column is None and columns:
        raise _bad(name, "labels of shape n, since no label_column is set", f"{labels.header}")
    if spec.label_column is not None and (len(columns) != 1 or spec.label_column >= columns[0]):
        raise _bad(name, f"labels of shape n x columns, with a column {spec.label_column}", f"{labels.header}")


def class_indices(labels: IdxFile, spec: TableSpec, rows: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the labels in blocks of `rows`, as int64 class indices: less `label_offset`, whether in range or not."""
    for block in labels.blocks(rows):
        yield (block if spec.label_column is None else block[:, spec.label_column]).astype(np.int64) - spec.label_offset


def count_classes(files: Iterable[IdxFile], spec: TableSpec) -> npt.NDArray[np.int64]:
    """
    Count the images of each class, over all shards.

    Returns: int64 (classes,).
    Raises:  BadTable: labels outside of the classes; says how many, and the first few sample ids and values.
    """
    classes, low = len(spec.classes), spec.label_offset
    counts = np.zeros(classes, np.int64)
    samples, wrong, first = 0, 0, list[str]()
    for index in chain.from_iterable(class_indices(file, spec, LABEL_ROWS) for file in files):
        inside = (index >= 0) & (index < classes)
        counts += np.bincount(index[inside], minlength=classes)
        outside = np.flatnonzero(~inside)
        first += [f"sample {samples + at} is {index[at] + low}" for at in outside[: SHOWN - len(first)]]
        samples, wrong = samples + len(index), wrong + len(outside)
    if wrong:
        more = ", ..." if wrong > len(first) else ""
        subject, found = (
            f"{spec.dataset} {spec.split} labels",
            f"{wrong} of {samples} outside: {', '.join(first)}{more}",
        )
        raise _bad(subject, f"{low} to {low + classes - 1}", found)
    return counts


def regroup(blocks: Iterable[npt.NDArray[Any]], rows: int) -> Iterator[npt.NDArray[Any]]:
    """Cut a stream of arrays into arrays of `rows` rows, the last one shorter, without a copy where one fits."""
    held, missing = list[npt.NDArray[Any]](), rows
    for block in blocks:
        rest = block
        while len(rest) >= missing:
            held.append(rest[:missing])
            rest = rest[missing:]
            yield np.concatenate(held) if len(held) > 1 else held[0]
            held, missing = [], rows
        if len(rest):
            held.append(rest)
            missing -= len(rest)
    if held:
        yield np.concatenate(held)


def blocks_of(
    shards: Sequence[tuple[IdxFile, IdxFile]], spec: TableSpec
) -> tuple[Iterator[npt.NDArray[Any]], Iterator[npt.NDArray[Any]]]:
    """Return the images and the class indices of all shards in blocks, equally long ones."""
    rows = rows_per_group(spec.pixels)
    images = chain.from_iterable(images.blocks(rows) for images, _ in shards)
    return images, chain.from_iterable(class_indices(labels, spec, rows) for _, labels in shards)


def batches(shards: Sequence[tuple[IdxFile, IdxFile]], spec: TableSpec, chosen: Mask | None = None) -> Iterator[Batch]:
    """
    Yield the rows of all shards in row groups. Groups run on over shards: the cut into files leaves no trace.

    Args: chosen: bool (n,), the rows that are wanted; None: all of them.
    """
    rows, start = rows_per_group(spec.pixels), 0
    blocks = blocks_of(shards, spec)
    images, labels = (regroup(each if chosen is None else select(each, chosen), rows) for each in blocks)
    for image, label in zip(images, labels, strict=True):
        stop = start + len(label)
        yield Batch(np.arange(start, stop, dtype=np.uint32), label.astype(np.uint16), image.reshape(len(image), -1))
        start = stop


def build_table(images: Sequence[Path], labels: Sequence[Path], spec: TableSpec, target: Path) -> TableSummary:
    """
    Join the shards of one split, in order, into a Parquet table; all is checked before the first row is written.

    Raises: BadIdx: a malformed file.  BadTable: files that are not what `spec` says, or do not belong together.
    """
    shards = [open_shard(*pair, spec) for pair in zip(images, labels, strict=True)]
    total = sum(image.header.shape[0] for image, _ in shards)
    if spec.samples not in (None, total):
        raise _bad(f"{spec.dataset} {spec.split}", f"{spec.samples} images, as published", f"{total}")
    counts = count_classes((label for _, label in shards), spec)
    metadata = TableMetadata(
        split=spec.split,
        shape=spec.shape,
        classes=spec.classes,
        label_offset=spec.label_offset,
    )
    chosen = None
    if spec.test_fraction is not None:
        chosen = rows_of(spec, *blocks_of(shards, spec))
        labels_chosen = select(blocks_of(shards, spec)[1], chosen)
        counts = sum((np.bincount(each, minlength=len(counts)) for each in labels_chosen), np.zeros_like(counts))
    written = write_table(target, metadata, batches(shards, spec, chosen))
    per_class = dict(zip(spec.classes, counts.tolist(), strict=True))
    return TableSummary(
        content={target.name: written.content},
        rows=written.rows,
        shape=spec.shape,
        bytes=target.stat().st_size,
        per_class=per_class,
    )


def _bad(subject: str, expected: str, found: str) -> BadTable:
    way_out = "Bring the file that belongs here with --mirror, or correct the data set's entry in the catalog."
    return BadTable(subject, expected=expected, found=found, way_out=way_out)


@stage("parse", name="{spec.split}")
def parse(images: list[Ref], labels: list[Ref], spec: TableSpec, out: Path) -> TableSummary:
    """Join one split's images and labels, a pair a shard, into a Parquet table; or its part of them, if it is cut."""
    return build_table([ref.file() for ref in images], [ref.file() for ref in labels], spec, out / "table.parquet")
