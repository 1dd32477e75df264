"""
Places that hold rows and not a file per image: a table of pixels, arrays in an npz, IDX files. Which file is which part
of the set is found by names; where two may be meant, that is refused.
"""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from schemas.errors import BadIdx, BadSource
from schemas.image_spec import ImageSpec
from schemas.source import CHANNELS, Choices, Kind, SplitName
from tasks.formats.arrays import FoundArrays, find_arrays, image_blocks, labels_of
from tasks.formats.idx import MAX_HEADER_BYTES, Header, IdxFile, read_header
from tasks.formats.kinds import GZIP, IDX, XZ, kind_of
from tasks.formats.layout import ARRAYS, TABLES, suffix_of
from tasks.formats.refused import Refused
from tasks.formats.separated import Found, find_columns, pixel_blocks
from tasks.formats.tree import Tree

Block = tuple[npt.NDArray[np.uint8], Sequence[str]]
"""Images, uint8 (n, rows, columns) or (n, rows, columns, 3), and the label of each, as text."""
TEST_WORDS = frozenset({"test", "testing", "tests", "t10k"})
VALIDATION_WORDS = frozenset({"val", "valid", "validation"})
BLOCK_BYTES = 2**22
"""Of a block of images."""
NOT_THIS = "it is none of the files that hold images and labels"
NO_VALIDATION = "validation files are not used where there are test files"
WRONG = (OSError, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class PartRows:
    """
    The rows of one part.

    Args:
        files:  that they come from; the first one has the images.
        shape:  of an image.
        blocks: reads them.
        rows:   how many, where that stands in a header.
    """

    files: tuple[str, ...]
    shape: ImageSpec
    blocks: Callable[[], Iterator[Block]]
    rows: int | None = None


@dataclass(frozen=True)
class Parts:
    """The parts of a place; `unused`: why the other files are not used, by name; `told`: what was taken for what."""

    parts: dict[SplitName, PartRows]
    unused: dict[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    @property
    def shape(self) -> ImageSpec:
        """The shape of an image of the first part."""
        return next(iter(self.parts.values())).shape


def find_parts(tree: Tree, kind: Kind, choices: Choices, scratch: Path) -> Parts:
    """
    Find out which files of a place are which part.

    Args:   scratch: a folder for what has to be unpacked before it is read.
    Raises: BadSource: it cannot be said, or two parts have images of other shapes.  BadIdx: a damaged IDX file.
    """
    said = None
    if choices.size:
        channels = CHANNELS[choices.color] if choices.color else 1
        said = ImageSpec(rows=choices.size[0], columns=choices.size[1], channels=channels)
    if kind == "table":
        found = _tables(tree, choices.label, said)
    elif kind == "arrays":
        found = _arrays(tree, said)
    else:
        found = _idx(tree, scratch)
    shapes = {part: rows.shape for part, rows in found.parts.items()}
    if len(set(shapes.values())) > 1 or (said and said not in shapes.values()):
        there = ", ".join(f"{shape} in {part}" for part, shape in shapes.items())
        expected = f"images of {said}, as --size says" if said else "images of one shape in both parts"
        raise BadSource(tree.name, expected=expected, found=there, way_out="Rows are not scaled: leave --size out.")
    if choices.color and found.shape.channels != CHANNELS[choices.color]:
        expected, there = f"{choices.color} images, as --color says", f"{found.shape}"
        raise BadSource(tree.name, expected=expected, found=there, way_out="Rows stay as they are: leave --color out.")
    return found


def _tables(tree: Tree, label: str | None, shape: ImageSpec | None) -> Parts:
    names = [entry.name for entry in tree.entries if entry.used and suffix_of(entry.name) in TABLES]
    chosen, unused = by_name(tree, names, "tables")
    found = {part: find_columns(opener(tree, name), name, label, shape) for part, name in chosen.items()}
    paths = [each.name for each in found.values() if each.path is not None]
    if paths:
        raise BadSource(
            tree.name,
            expected="columns of pixels",
            found=f"paths in {paths[0]}",
            way_out="Give the folder that has the pictures and this one table.",
        )
    parts = {part: _table_rows(tree, each) for part, each in found.items()}
    return Parts(parts, unused, tuple(each.told() for each in found.values()))


def _table_rows(tree: Tree, found: Found) -> PartRows:
    def blocks() -> Iterator[Block]:
        for labels, pixels in pixel_blocks(opener(tree, found.name), found):
            yield pixels, labels

    if found.shape is None:
        raise RuntimeError(f"{found.name} holds paths")
    return PartRows((found.name,), found.shape, blocks)


def _arrays(tree: Tree, shape: ImageSpec | None) -> Parts:
    names = [entry.name for entry in tree.entries if entry.used and suffix_of(entry.name) in ARRAYS]
    if len(names) != 1:
        raise BadSource(tree.name, expected="one .npz", found=", ".join(names[:5]), way_out="Name the file itself.")
    name = names[0]
    found = find_arrays(opener(tree, name), name, shape=shape)
    by_split = {pair.split: pair for pair in found.pairs}
    train = by_split.get("train") or by_split.get("all")
    test = by_split.get("test") or by_split.get("val")
    if train is None:
        raise BadSource(name, expected="arrays to train on", found=found.told(), way_out="Call them x_train, y_train.")
    parts = {"train": _array_rows(tree, found, train.split)}
    if test is not None and train.split == "train":
        parts["test"] = _array_rows(tree, found, test.split)
    rest = {entry.name: NOT_THIS for entry in tree.entries if entry.used and entry.name != name}
    return Parts({_part(part): rows for part, rows in parts.items()}, rest, (found.told(),))


def _array_rows(tree: Tree, found: FoundArrays, split: str) -> PartRows:
    pair = next(each for each in found.pairs if each.split == split)

    def blocks() -> Iterator[Block]:
        labels, start = labels_of(opener(tree, found.name), found.name, pair), 0
        for images in image_blocks(opener(tree, found.name), found.name, pair):
            yield images.reshape(-1, *pair.shape.array), labels[start : start + len(images)]
            start += len(images)

    return PartRows((found.name,), pair.shape, blocks, pair.samples)


def _idx(tree: Tree, scratch: Path) -> Parts:
    images, labels, unused = dict[str, Header](), dict[str, Header](), dict[str, str]()
    for entry in tree.entries:
        if not entry.used:
            continue
        header = header_of(tree, entry.name)
        if header is None:
            unused[entry.name] = NOT_THIS
        elif len(header.shape) in {3, 4}:
            images[entry.name] = header
        else:
            labels[entry.name] = header
    of_images, rest = by_name(tree, list(images), "image files") if images else ({}, {})
    of_labels, more = by_name(tree, list(labels), "label files") if labels else ({}, {})
    if set(of_images) != set(of_labels):
        found = f"images: {', '.join(images) or 'none'}; labels: {', '.join(labels) or 'none'}"
        way_out = "Name the files in a description: docs/datasets.md shows how."
        raise BadSource(tree.name, expected="an image and a label file for each part", found=found, way_out=way_out)
    parts = {
        part: _idx_rows(tree, name, images[name], of_labels[part], labels[of_labels[part]], scratch)
        for part, name in of_images.items()
    }
    return Parts(parts, unused | rest | more)


def _idx_rows(  # noqa: PLR0917 - two files
    tree: Tree, images: str, header: Header, labels: str, of_labels: Header, scratch: Path
) -> PartRows:
    if header.dtype != np.uint8 or (len(header.shape) == 4 and header.shape[3] not in {1, 3}):
        way_out = "Write uint8 pixels, n x rows x columns, or with three channels last."
        raise BadSource(images, expected="uint8 images", found=f"{header}", way_out=way_out)
    if len(of_labels.shape) != 1 or of_labels.dtype.kind not in "iu" or of_labels.shape[0] != header.shape[0]:
        raise BadSource(
            labels,
            expected=f"{header.shape[0]} labels, whole numbers in a row",
            found=f"{of_labels}",
            way_out="A description can say more about labels: docs/datasets.md shows how.",
        )
    shape = ImageSpec.model_validate(list(header.shape[1:]))

    def blocks() -> Iterator[Block]:
        numbers = unpacked(tree, labels, scratch).read()
        start = 0
        for block in unpacked(tree, images, scratch).blocks(max(1, BLOCK_BYTES // shape.pixels)):
            yield (
                block.reshape(-1, *shape.array),
                [str(number) for number in numbers[start : start + len(block)].tolist()],
            )
            start += len(block)

    return PartRows((images, labels), shape, blocks, header.shape[0])


def header_of(tree: Tree, name: str) -> Header | None:
    """Read the IDX header of a file, compressed or not; None where it has none."""
    try:
        with tree.open(name) as file:
            head = file.read(512)
            kind = kind_of(head, None)
            if kind in (GZIP, XZ):
                file.seek(0)
                with gzip.open(file) if kind is GZIP else lzma.open(file) as inner:
                    head, kind = inner.read(MAX_HEADER_BYTES), IDX
            return read_header(head, name) if kind is IDX else None
    except (Refused, BadIdx, *WRONG):
        return None


def unpacked(tree: Tree, name: str, folder: Path) -> IdxFile:
    """Copy an IDX file into a folder, inflated and checked, and open it."""
    from tasks.decompress import extract
    from tasks.formats.idx import open_idx

    target = folder / name.replace("/", "-")
    packed = target.with_name(f"{target.name}.packed")
    with tree.open(name) as file, packed.open("wb") as copy:
        while chunk := file.read(2**20):
            copy.write(chunk)
    extract(packed, target, None, name)
    packed.unlink()
    return open_idx(target)


def by_name(tree: Tree, names: Sequence[str], what: str) -> tuple[dict[SplitName, str], dict[str, str]]:
    """Return the file of each part, by its name, and why others are not used. Raises: BadSource: two for one part."""
    held = [name for name in names if _has(name, VALIDATION_WORDS) and not _has(name, TEST_WORDS)]
    test = [name for name in names if _has(name, TEST_WORDS)]
    train = [name for name in names if name not in held and name not in test]
    unused = dict.fromkeys(held, NO_VALIDATION) if test else {}
    chosen = {"train": train, "test": test or held}
    if many := next((each for each in chosen.values() if len(each) > 1), None):
        raise BadSource(
            tree.name,
            expected=f"one of the {what} to train on, and one to test with",
            found=", ".join(many[:5]),
            way_out="Say train and test in their names, or name them in a description: docs/datasets.md shows how.",
        )
    if not train:
        expected, found = f"{what} to train on", ", ".join(names[:5]) or "none"
        raise BadSource(tree.name, expected=expected, found=found, way_out="Say train in its name.")
    return {_part(part): each[0] for part, each in chosen.items() if each}, unused


def _part(name: str) -> SplitName:
    return "test" if name == "test" else "train"


def _has(name: str, words: frozenset[str]) -> bool:
    return not words.isdisjoint(re.split(r"[^a-z0-9]+", name.lower()))


def opener(tree: Tree, name: str) -> Callable[[], AbstractContextManager[BinaryIO]]:
    """Return what opens a file of a place, once more each time."""
    return lambda: tree.open(name)
