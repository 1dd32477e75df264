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
from schemas.corrections import Corrections
from schemas.counts import counted
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.image_spec import COLOUR, GREY, ImageSpec
from schemas.image_table import TABLE, Batch, TableMetadata, rows_per_group, write_table
from schemas.parameters import Summary
from schemas.source import FILES, IMAGES, LABELS, ROWS
from tasks.fitting.dealing import GROUPS, Deal, read_deal
from tasks.fitting.stratify import Mask
from tasks.formats.corrections import correct, labels_before, resolve, tell
from tasks.formats.cut import rows_of, select
from tasks.formats.idx import IdxFile, open_idx
from tasks.formats.labels import NUMBERS, LabelFile, check_label_header, class_indices, misfit
from tasks.formats.ledger import read_ledger
from tasks.formats.packed import PACK, idx_in
from tasks.formats.turns import TURNS

CHANNELS_LAST = "`images.transpose(0, 2, 3, 1)` in NumPy"
"""How channels that stand first are brought behind rows and columns."""


class TableSummary(Summary):
    """
    What the table holds.

    Args:
        corrected:   how many labels a person has corrected, and in which file; empty where none.
        corrections: the first 20 of them, a sentence each.
    """

    rows: int
    shape: ImageSpec
    bytes: int
    per_class: dict[str, int]
    corrected: str = ""
    corrections: tuple[str, ...] = ()


def open_shard(
    images: Path, labels: Path, spec: TableSpec, names: tuple[str, str] | None = None
) -> tuple[IdxFile, LabelFile]:
    """
    Open an image and a label file that belong together.

    Images are uint8 of shape (n, rows, columns), or (n, rows, columns, 3) in colour; rows and columns are exchanged
    where `transpose` swaps them. Labels are as `check_label_header` takes them.

    Args:   names: what the description calls the two; else they are called as the paths are.
    Raises: BadIdx: malformed.  BadTable: exchanged by mistake, not of the type or shape, or different in number.
    """
    pixels, marks = open_idx(images), open_idx(labels)
    image_name, label_name = names or (images.name, labels.name)
    ranks = len(pixels.header.shape), len(marks.header.shape)
    if ranks[0] < 3 <= ranks[1]:
        raise BadTable(
            f"{image_name} and {label_name}",
            expected=f"images (rank {1 + len(spec.shape.array)}), then labels",
            found=f"ranks {ranks[0]} and {ranks[1]}",
            way_out="They look exchanged: name the image file as images and the label file as labels.",
        )
    _check_images(pixels, image_name, spec)
    check_label_header(found := LabelFile(label_name, marks), spec)
    counts = pixels.header.shape[0], marks.header.shape[0]
    if counts[0] != counts[1]:
        both, expected = f"{image_name} and {label_name}", f"a label for each of {counted(counts[0], 'image')}"
        way_out = spec.way_out(f"Name two files in {spec.described_in} that belong together, row by row.")
        raise BadTable(both, expected=expected, found=counted(counts[1], "label"), way_out=way_out)
    return pixels, found


def _check_images(pixels: IdxFile, name: str, spec: TableSpec) -> None:
    header, stored = pixels.header, spec.stored_shape
    if header.dtype == np.uint8 and header.shape[1:] in {stored.array, stored.listed}:
        return
    own = "Write the pixels as uint8, from 0 to 255."
    if header.dtype == np.uint8:
        own = _shape_way_out(header.shape[1:], spec)
    expected = f"uint8 images of shape n x {stored}"
    raise BadTable(name, expected=expected, found=f"{header}", way_out=spec.way_out(own))


def _shape_way_out(inner: tuple[int, ...], spec: TableSpec) -> str:
    """Return what to do about image files whose images are of the shape `inner`: set the shape, or write others."""
    stored, last = spec.stored_shape, inner[2:]
    if len(inner) == 3 and inner[0] in {GREY, COLOUR} and inner[2] not in {GREY, COLOUR}:
        return f"Write channels last, n x {' x '.join(map(str, (*inner[1:], inner[0])))}: {CHANNELS_LAST}."
    if last == (COLOUR + 1,):
        return f"Leave out the opacity, the last of four channels: write n x {stored}."
    if len(inner) < 2 or last not in {(), (GREY,), (COLOUR,)}:
        return f"Write {'colour' if stored.colour else 'grey'} images, n x {stored}."
    rows, columns = reversed(inner[:2]) if spec.transpose else inner[:2]
    colour = last == (COLOUR,)
    way_out = f"Set shape = {[rows, columns, COLOUR] if colour else [rows, columns]} in {spec.described_in}"
    if colour != stored.colour:
        return f"{way_out}: its images are {'in colour' if colour else 'grey'}."
    if inner[:2] == (spec.shape.columns, spec.shape.rows):
        return f"{way_out}, or add transpose = true if its images lie on their side."
    return f"{way_out}."


def count_classes(files: Sequence[LabelFile], spec: TableSpec) -> npt.NDArray[np.int64]:
    """
    Count the images of each class, over all shards.

    Returns: int64 (classes,).
    Raises:  BadTable: labels outside of the classes; says which there are, and the option that fits them.
    """
    classes = len(spec.classes)
    counts = np.zeros(classes, np.int64)
    for index in chain.from_iterable(class_indices(file, spec, NUMBERS) for file in files):
        if index.min() < 0 or index.max() >= classes:
            raise misfit(files, spec)
        counts += np.bincount(index, minlength=classes)
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
    shards: Sequence[tuple[IdxFile, LabelFile]], spec: TableSpec
) -> tuple[Iterator[npt.NDArray[Any]], Iterator[npt.NDArray[Any]]]:
    """Return the images and the class indices of all shards in blocks, not always equally long ones."""
    rows = rows_per_group(spec.pixels)
    images = chain.from_iterable(images.blocks(rows) for images, _ in shards)
    return images, chain.from_iterable(class_indices(labels, spec, rows) for _, labels in shards)


def batches(
    shards: Sequence[tuple[IdxFile, LabelFile]], spec: TableSpec, chosen: Mask | None = None
) -> Iterator[Batch]:
    """
    Yield the rows of all shards in row groups. Groups run on over shards: the cut into files leaves no trace.

    Args: chosen: bool (n,), the rows that are wanted; None: all of them.
    """
    rows, start = rows_per_group(spec.pixels), 0
    blocks = blocks_of(shards, spec)
    images, labels = (regroup(each if chosen is None else select(each, chosen), rows) for each in blocks)
    for image, label in zip(images, labels, strict=True):
        stop = start + len(label)
        upright = image.swapaxes(1, 2) if spec.transpose else image
        yield Batch(np.arange(start, stop, dtype=np.uint32), label.astype(np.uint16), upright.reshape(len(image), -1))
        start = stop


def build_table(  # noqa: PLR0917 - the stage and its tests alone call it
    images: Sequence[Path],
    labels: Sequence[Path],
    spec: TableSpec,
    target: Path,
    names: Sequence[tuple[str, str]] | None = None,
    corrections: Corrections | None = None,
    deal: Deal | None = None,
    ledger: Path | None = None,
) -> TableSummary:
    """
    Join the shards of one split, in order, into a Parquet table; all is checked before the first row is written.

    Args:
        names:       what the description calls each shard's two files; else they are called as the paths are.
        corrections: labels that replace those of the files. Which images a split has, the files' own labels decide.
        ledger:      of what was packed, by which corrections name images.
    Raises:
        BadIdx:   a malformed file.
        BadTable: files that are not what `spec` says, or do not belong together; a correction that corrects nothing.
    """
    called = names or [(image.name, label.name) for image, label in zip(images, labels, strict=True)]
    shards = [
        open_shard(*pair, spec, both) for pair, both in zip(zip(images, labels, strict=True), called, strict=True)
    ]
    total = sum(image.header.shape[0] for image, _ in shards)
    if spec.samples not in (None, total):
        subject, expected = f"{spec.dataset} {spec.split}", f"{counted(spec.samples, 'image')}, as published"
        way_out = spec.way_out(f"Correct samples below [{spec.split}] of {spec.described_in}, or its files.")
        raise BadTable(subject, expected=expected, found=f"{total}", way_out=way_out)
    counts = count_classes([label for _, label in shards], spec)
    metadata = TableMetadata(
        split=spec.split,
        shape=spec.shape,
        classes=spec.classes,
        label_offset=spec.label_offset,
        label_values=spec.label_values,
    )
    chosen = None
    if spec.test_fraction is not None:
        chosen = rows_of(spec, *blocks_of(shards, spec), deal)
        if deal:
            np.save(target.with_name(ROWS), np.flatnonzero(chosen).astype(np.uint32))
        labels_chosen = select(blocks_of(shards, spec)[1], chosen)
        counts = sum((np.bincount(each, minlength=len(counts)) for each in labels_chosen), np.zeros_like(counts))
    told: tuple[str, ...] = ()
    if corrections:
        part = "train" if spec.test_fraction else spec.split
        corrections = resolve(corrections, read_ledger(ledger)[0] if ledger else (), part, chosen)
        of_files = blocks_of(shards, spec)[1]
        before = labels_before(of_files if chosen is None else select(of_files, chosen), spec, corrections)
        after = [row.label for row in corrections.rows]
        counts = counts + np.bincount(after, minlength=len(counts)) - np.bincount(before, minlength=len(counts))
        told = tell(corrections, before.tolist(), spec.classes)
    written = write_table(target, metadata, correct(batches(shards, spec, chosen), corrections))
    per_class = dict(zip(spec.classes, counts.tolist(), strict=True))
    return TableSummary(
        content={target.name: written.content},
        rows=written.rows,
        shape=spec.shape,
        bytes=target.stat().st_size,
        per_class=per_class,
        corrected=corrections.told(spec.split) if corrections else "",
        corrections=told,
    )


@stage(name="{spec.of}", imports="pyarrow.parquet")
def parse(  # noqa: PLR0917 - what a table is made of
    images: list[Ref],
    labels: list[Ref],
    spec: TableSpec,
    out: Path,
    corrections: Corrections | None = None,
    groups: Ref | None = None,
) -> TableSummary:
    """
    Join images and labels into a Parquet table: of one shard, which is a part of its split, or of all shards of it.

    Of files that a test split is cut out of, it takes the rows of the split.
    """
    names = [(image.name, label.name) for image, label in zip(images, labels, strict=True)]
    part = "train" if spec.test_fraction else spec.split
    paths = [idx_in(ref, IMAGES, part) for ref in images], [idx_in(ref, LABELS, part) for ref in labels]
    deal = read_deal(groups.file(GROUPS)) if groups else None
    ledger = images[0].file(FILES) if images[0].stage == PACK else None
    with TURNS:
        return build_table(*paths, spec, out / TABLE, names, corrections, deal, ledger)
