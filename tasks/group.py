"""Group: equal and near-equal images of all splits, so that copies stay on one side and leaks are told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.content import TableWriter
from schemas.counts import counted
from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.parameters import Summary
from schemas.source import IMAGES, SplitName
from schemas.source import LABELS as FILES_OF_LABELS
from tasks.fitting.dealing import FREE, GROUPS, TRAIN, mark_groups
from tasks.fitting.stratify import Digests, Labels
from tasks.formats.idx import open_idx
from tasks.formats.labels import LabelFile, class_indices
from tasks.formats.packed import PACK, Origins, idx_in
from tasks.quality.near import CROWD, MOST_PAIRS, Found, Stacked, find_near
from tasks.quality.near_pairs import PAIRS
from tasks.quality.projection import THRESHOLD, Places

log = logging.getLogger("idxflow.group")
SHOWN = 3
"""Near pairs whose files are named in a sentence."""
UNKNOWN = np.uint16(2**16 - 1)
"""What stands for a label outside of the classes: parse says what is wrong with it."""
LABELS = 1 << 16
"""Labels that are read at once."""
BLIND = "Shifted, resized, turned, mirrored or recoloured copies are not found"
"""What the search cannot see; said with whatever it found."""


@dataclass(frozen=True, eq=False)
class Rows:
    """
    The rows of all splits, train first.

    Args:
        images: uint8 (n, values), read from the files as they are needed.
        labels: uint16 (n,), class indices, or UNKNOWN.
        train:  how many of them are the train split's.
    """

    images: Stacked
    labels: Labels
    train: int


def open_images(path: Path, name: str, spec: TableSpec) -> npt.NDArray[np.uint8]:
    """
    Map the images of an IDX file: uint8 (n, values), read from the disk as they are needed.

    Raises: BadIdx: malformed.  BadTable: not uint8, or of another shape than the description says.
    """
    header = open_idx(path).header
    if header.dtype != np.uint8 or header.shape[1:] != spec.stored_shape.array:
        way_out = spec.way_out(f"Correct shape in {spec.described_in}, or the file.")
        raise BadTable(name, expected=f"uint8 images of n x {spec.stored_shape}", found=f"{header}", way_out=way_out)
    return np.memmap(path, np.uint8, "r", header.offset, (header.shape[0], spec.pixels))


def read_labels(path: Path, name: str, spec: TableSpec) -> Labels:
    """Read a label file: uint16 (n,), class indices, UNKNOWN where one is outside of the classes."""
    blocks = class_indices(LabelFile(name, open_idx(path)), spec, LABELS)
    parts = [np.where((block >= 0) & (block < len(spec.classes)), block, UNKNOWN).astype(np.uint16) for block in blocks]
    return np.concatenate(parts)


def read_rows(train: Sequence[tuple[Ref, Ref]], test: Sequence[tuple[Ref, Ref]], spec: TableSpec) -> Rows:
    """
    Open the images and read the labels of both splits, each a list of image and label files.

    Raises: BadIdx, BadTable: a file is malformed, not what `spec` says, or has no label for each image.
    """
    parts, labels, of_train = list[npt.NDArray[np.uint8]](), list[Labels](), 0
    sides: tuple[tuple[SplitName, Sequence[tuple[Ref, Ref]]], ...] = (("train", train), ("test", test))
    for split, pairs in sides:
        for image, label in pairs:
            parts.append(open_images(idx_in(image, IMAGES, split), image.name, spec))
            labels.append(read_labels(idx_in(label, FILES_OF_LABELS, split), label.name, spec))
            if (rows := len(parts[-1])) != len(labels[-1]):
                raise BadTable(
                    f"{image.name} and {label.name}",
                    expected=f"a label for each of {counted(rows, 'image')}",
                    found=counted(len(labels[-1]), "label"),
                    way_out=spec.way_out("Name two files that belong together, row by row."),
                )
            of_train += rows if split == "train" else 0
    return Rows(Stacked(parts), np.concatenate(labels), of_train)


class GroupSummary(Summary):
    """
    The copies among the images of all splits, briefly.

    Args:
        images:       rows of all splits.
        groups:       groups of two rows or more, and `grouped`, how many rows are in them.
        equal:        rows that are equal to an earlier one.
        near:         pairs of different images that are near, but for those in crowds.
        together:     pairs of rows that a split would tear if it dealt out single images: `equal` and `near`.
        torn:         groups with different labels; `torn_pairs`: near pairs with different labels.
        leaked:       test rows that are equal to a train row; `near_leaked`: others with a train row in their group.
        across:       near pairs of a train and a test row.
        crowds:       groups of more than 64 different images, whose pairs are neither counted nor listed.
        complete:     False: the search for near pairs was given up, and only equal images make groups.
        findings:     what a person should know, one sentence each.
    """

    images: int
    groups: int
    grouped: int
    equal: int
    near: int
    together: int
    torn: int
    torn_pairs: int
    leaked: int
    near_leaked: int
    across: int
    crowds: int
    complete: bool
    findings: tuple[str, ...] = ()


def sum_up(rows: Rows, found: Found, origins: Origins = Origins()) -> GroupSummary:  # noqa: B008 - it knows nothing
    """
    Count what was found, and say in sentences what of it a person should know.

    Args: origins: of the packed rows, whose files are named.
    """
    count, train = len(rows.labels), np.arange(len(rows.labels)) < rows.train
    known, group, size = np.unique(found.groups, return_inverse=True, return_counts=True)
    lowest, highest = np.full(len(known), UNKNOWN), np.zeros(len(known), np.uint16)
    np.minimum.at(lowest, group, rows.labels)
    np.maximum.at(highest, group, rows.labels)
    trained = np.zeros(len(known), bool)
    trained[group[train]] = True
    leaked = ~train & np.isin(found.first, found.first[train])
    near_leaked = ~train & trained[group] & ~leaked
    one, other = found.pairs.T
    equal = int((found.first != np.arange(count)).sum())
    summary = GroupSummary(
        images=count,
        groups=int((size > 1).sum()),
        grouped=int(size[size > 1].sum()),
        equal=equal,
        near=len(found.pairs),
        together=equal + len(found.pairs),
        torn=int((lowest < highest).sum()),
        torn_pairs=int((rows.labels[one] != rows.labels[other]).sum()),
        leaked=int(leaked.sum()),
        near_leaked=int(near_leaked.sum()),
        across=int((train[one] != train[other]).sum()),
        crowds=found.crowds,
        complete=found.complete,
    )
    examples = name_pairs(rows, found, origins)
    return summary.model_copy(update={"findings": find_unusual(summary, examples)})


def name_pairs(rows: Rows, found: Found, origins: Origins) -> tuple[str, ...]:
    """Name the files of the first three near pairs, those of a train and a test row first; none without names."""
    across = (found.pairs < rows.train).sum(axis=1) == 1
    first = found.pairs[np.argsort(~across, kind="stable")[:SHOWN]]
    splits, at = _places(first.ravel(), rows)
    names = [origins.name(split, row) for split, row in zip(splits, at.tolist(), strict=True)]
    pairs = zip(names[::2], names[1::2], strict=True)
    return tuple(f"{one} and {other}" for one, other in pairs if one and other)


def find_unusual(summary: GroupSummary, examples: Sequence[str] = ()) -> tuple[str, ...]:
    """
    Say what is unusual about the copies of a set, a sentence each; nothing where there are none.

    Args: examples: of near pairs, those of a train and a test image first.
    """
    such = f" First {'; '.join(examples)}." if examples else ""
    levels, said = f"a root mean square difference of at most {THRESHOLD} grey levels", list[str]()
    if summary.near_leaked:
        said.append(
            f"test images that are near-equal to train images ({levels}): {summary.near_leaked:,}.{such} {BLIND}"
        )
    if summary.near or summary.crowds:
        said.append(
            f"images that are equal or near-equal ({levels}), in groups that are kept on one side when rows are held "
            f"out or a test split is cut: {summary.grouped:,} in {counted(summary.groups, 'group', ',')}."
            f"{'' if summary.near_leaked else such} {BLIND}"
        )
    if summary.torn:
        said.append(f"groups of equal or near-equal images with different labels: {summary.torn:,}")
    if summary.crowds:
        said.append(
            f"groups of more than {CROWD} different images that are near-equal, whose pairs are not listed: "
            f"{summary.crowds:,}"
        )
    if not summary.complete:
        said.append(
            f"near-equal images were not searched to the end, as more than {MOST_PAIRS:,} pairs are alike: equal "
            "images alone are kept on one side"
        )
    return tuple(said)


def write_groups(path: Path, rows: Rows, found: Found) -> str:
    """
    Write a row for each image: split, row in it, label, digest, group, mark; see `tasks.fitting.dealing`.

    Returns: the digest of the content, as have the other writers.
    """
    import pyarrow as pa

    marks = np.full(len(rows.labels), FREE, np.uint8)
    marks[: rows.train] = mark_groups(rows.labels[: rows.train], found.groups[: rows.train])
    split, row = _places(np.arange(len(rows.labels)), rows)
    columns = {
        "split": (split, pa.string()),
        "row": (row, pa.uint32()),
        "label": (rows.labels, pa.uint16()),
        "digest": (found.digests, pa.uint64()),
        "group": (found.groups, pa.uint64()),
        "mark": (marks, pa.uint8()),
    }
    return _write(path, columns)


def write_pairs(path: Path, rows: Rows, found: Found) -> str:
    """Write a row for each near pair: split, row and label of both, and their root mean square difference."""
    import pyarrow as pa

    columns = dict[str, tuple[Any, Any]]()
    for prefix, places in zip(("", "other_"), found.pairs.T, strict=True):
        split, row = _places(places, rows)
        columns[f"{prefix}split"] = split, pa.string()
        columns[f"{prefix}row"] = row, pa.uint32()
        columns[f"{prefix}label"] = rows.labels[places], pa.uint16()
    return _write(path, {**columns, "rms": (found.distances, pa.float64())})


def _places(places: Places, rows: Rows) -> tuple[list[str], Places]:
    """Return the split of each place, and the row in it."""
    train = places < rows.train
    return np.where(train, TRAIN, "test").tolist(), np.where(train, places, places - rows.train)


def _write(path: Path, columns: dict[str, tuple[Digests | list[str] | Any, Any]]) -> str:
    import pyarrow as pa

    schema = pa.schema([pa.field(name, kind, nullable=False) for name, (_, kind) in columns.items()])
    with TableWriter(path, schema, compression="lz4", use_dictionary=["split"]) as writer:
        arrays = [pa.array(values, kind) for values, kind in columns.values()]
        writer.write(pa.Table.from_arrays(arrays, schema=schema))
    return writer.content


@stage(imports="pyarrow.parquet")
def group(  # noqa: PLR0917 - what the engine hands over counts as well
    images: list[Ref], labels: list[Ref], test_images: list[Ref], test_labels: list[Ref], spec: TableSpec, out: Path
) -> GroupSummary:
    """
    Find equal and near-equal images of all splits; shifted, resized, mirrored or recoloured copies are not found.

    Of packed files, whose images stand upright. `images` and `labels` are the train split's, or those that both splits
    are cut off; then the other two are empty.
    """
    train, test = (list(zip(*both, strict=True)) for both in ((images, labels), (test_images, test_labels)))
    rows = read_rows(train, test, spec)
    found = find_near(rows.images)
    packed = next((ref for ref in images if ref.stage == PACK), None)
    summary = sum_up(rows, found, Origins.of(packed, {}))
    for finding in summary.findings:
        log.warning("%s: %s", spec.dataset, finding)
    content = {GROUPS: write_groups(out / GROUPS, rows, found), PAIRS: write_pairs(out / PAIRS, rows, found)}
    return summary.model_copy(update={"content": content})
