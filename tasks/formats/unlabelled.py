"""
Images to be named, from whatever they lie in: pictures, tables of pixels, arrays, IDX files, with labels or without.

Every file is accounted for: it gives images, or the reason why it does not.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import BadIdx, BadSource, IdxflowError, StageError
from schemas.image_spec import ImageSpec
from schemas.pictures import PictureSpec
from schemas.visible import in_a_line
from tasks.formats.arrays import find_images, image_blocks, labels_of
from tasks.formats.decoding import decode_all
from tasks.formats.idx import Header
from tasks.formats.layout import ARRAYS, NO_PICTURE, OTHER_PICTURES, PICTURES, TABLES, suffix_of
from tasks.formats.parts import BLOCK_BYTES, NOT_THIS, WRONG, header_of, opener, unpacked
from tasks.formats.refused import Refused
from tasks.formats.separated import find_pixels, pixel_blocks
from tasks.formats.tree import LARGE, Entry, Tree

DAMAGED = (csv.Error, zipfile.BadZipFile, tarfile.TarError, UnicodeError)
"""What reading a damaged file or archive may raise, beside `tasks.formats.parts.WRONG`."""
LABELS_ALONE = "it holds labels, and no images"
LABELS_USED = "it holds the labels of images, which are used"
Labels = Sequence[str | None]


class Block(NamedTuple):
    """
    Images that were read.

    Args:
        files:   the file of each.
        parts:   name of the array in it that each comes from; None of a file with one alone.
        samples: its row in that file, from 0.
        labels:  of each, as text; None where there is none.
        pixels:  uint8 (n, values of an image).
    """

    files: Sequence[str]
    parts: Sequence[str | None]
    samples: Sequence[int]
    labels: Labels
    pixels: npt.NDArray[np.uint8]


class Refusal(NamedTuple):
    """A file that gives no image."""

    file: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """
    What is to be read, and as what.

    Args:
        shape:     of an image.
        picture:   what a picture becomes.
        transpose: IDX files hold columns x rows.
        only:      names of the files that are taken; None: all.
        label:     column of the labels in a table.
        classes:   names of folders that say what the pictures in them show.
        known:     SHA-256 that each file has to have, by name; empty: not known, as in an archive.
        scratch:   a folder for what has to be inflated first.
    """

    shape: ImageSpec
    picture: PictureSpec
    transpose: bool
    only: frozenset[str] | None
    label: str | None
    classes: frozenset[str]
    known: Mapping[str, str]
    scratch: Path

    def read(self, tree: Tree) -> Iterator[Block | Refusal]:
        """
        Read what lies in a tree.

        Raises: StageError: a file has changed since the run began.
        """
        entries = [entry for entry in tree.entries if self.only is None or entry.name in self.only]
        yield from (Refusal(entry.name, entry.left_out or entry.unreadable) for entry in entries if not entry.used)
        usable = [entry for entry in entries if entry.used]
        # Each file for itself, by its ending and first bytes: what else lies there decides nothing about it.
        pictures = [entry.name for entry in usable if suffix_of(entry.name) in PICTURES | OTHER_PICTURES]
        yield from self._pictures(tree, pictures)
        taken = set(pictures)
        rows = [entry for entry in usable if entry.name not in taken]
        labels = _label_files(tree, rows)
        for entry in rows:
            if entry.name in labels.values():
                yield Refusal(entry.name, LABELS_USED)
            else:
                yield from self._rows_of(tree, entry, labels.get(entry.name))

    def _rows_of(self, tree: Tree, entry: Entry, label_file: str | None) -> Iterator[Block | Refusal]:
        """Read a file of rows; where it turns out damaged, say so of the rest."""
        name, named = entry.name, 0
        if self.known and name not in self.known:
            yield Refusal(name, f"{LARGE}: name it by itself")
            return
        read = {True: self._idx, suffix_of(name) in TABLES: self._table, suffix_of(name) in ARRAYS: self._arrays}[True]
        try:
            for block in read(tree, name, label_file):
                named += len(block.pixels)
                yield block
        except (*WRONG, *DAMAGED, IdxflowError, Refused) as error:
            first = f"only its first {named:,} images were named: " if named else ""
            yield Refusal(name, first + _reason(error))
        if self.known:
            with tree.open(name) as file:
                digest = hashlib.sha256()
                while chunk := file.read(2**20):
                    digest.update(chunk)
            if digest.hexdigest() != self.known[name]:
                raise changed(name)

    def _pictures(self, tree: Tree, names: Sequence[str]) -> Iterator[Block | Refusal]:
        for batch in decode_all(tree, names, self.picture, os.cpu_count() or 1):
            read = list[str]()
            for name, sha256, result in zip(batch.names, batch.sha256, batch.results, strict=True):
                if self.known and sha256 != self.known.get(name):
                    raise changed(name)
                if isinstance(result, Refused):
                    yield Refusal(name, result.reason)
                else:
                    read.append(name)
            if read:
                folders = [name.rpartition("/")[0].rpartition("/")[2] for name in read]
                labels = [folder if folder in self.classes else None for folder in folders]
                yield Block(read, [None] * len(read), [0] * len(read), labels, batch.pixels.reshape(len(read), -1))

    def _table(self, tree: Tree, name: str, _: str | None) -> Iterator[Block]:
        found, start = find_pixels(opener(tree, name), name, self.label, self.shape), 0
        for labels, pixels in pixel_blocks(opener(tree, name), found):
            yield _rows(name, start, labels if found.label is not None else None, pixels)
            start += len(pixels)

    def _arrays(self, tree: Tree, name: str, _: str | None) -> Iterator[Block]:
        for pair in find_images(opener(tree, name), name, self.shape):
            labels, start = labels_of(opener(tree, name), name, pair) if pair.labels else None, 0
            part = None if pair.split == "all" else pair.images.key
            for pixels in image_blocks(opener(tree, name), name, pair):
                yield _rows(name, start, labels[start : start + len(pixels)] if labels else None, pixels, part)
                start += len(pixels)

    def _idx(self, tree: Tree, name: str, label_file: str | None) -> Iterator[Block]:
        if (header := header_of(tree, name)) is None:
            raise Refused(NO_PICTURE if "." in name.rpartition("/")[2] else NOT_THIS)
        wanted = self.shape.turned if self.transpose else self.shape
        shape = header.shape[1:] if header.shape[3:] != (1,) else header.shape[1:3]
        if header.dtype != np.uint8 or shape != wanted.array:
            raise Refused(LABELS_ALONE if len(header.shape) < 3 else f"it holds {header}, and the model takes {wanted}")
        labels = [str(label) for label in unpacked(tree, label_file, self.scratch).read()] if label_file else None
        start = 0
        for block in unpacked(tree, name, self.scratch).blocks(max(1, BLOCK_BYTES // self.shape.pixels)):
            pixels = block.reshape(-1, *wanted.array)
            pixels = pixels.swapaxes(1, 2) if self.transpose else pixels
            yield _rows(name, start, labels[start : start + len(block)] if labels else None, pixels)
            start += len(block)


def _rows(
    name: str, start: int, labels: Labels | None, pixels: npt.NDArray[np.uint8], part: str | None = None
) -> Block:
    n = len(pixels)
    return Block([name] * n, [part] * n, range(start, start + n), labels or [None] * n, pixels.reshape(n, -1))


def _label_files(tree: Tree, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the label file of each image file that has one: of the same name but for what it holds, and as long."""
    headers = dict[str, Header]()
    for entry in entries:
        with suppress(Refused, BadIdx, BadSource):
            if header := header_of(tree, entry.name):
                headers[entry.name] = header
    labels = {_stem(name): name for name, header in headers.items() if len(header.shape) == 1}
    return {
        name: labels[_stem(name)]
        for name, header in headers.items()
        if len(header.shape) > 2 and _stem(name) in labels
        if headers[labels[_stem(name)]].shape[0] == header.shape[0]
    }


def _stem(name: str) -> str:
    """Return what an image file and its label file have in common."""
    return re.sub(r"(?:images?|labels?|idx\d|ubyte|int|\.gz|\.xz|[^a-z0-9/])+", "-", name.lower()).strip("-")


def _reason(error: Exception) -> str:
    if isinstance(error, Refused):
        return error.reason
    if isinstance(error, IdxflowError):
        return f"expected {error.expected}, found {error.found}"
    return f"it is damaged ({in_a_line(str(error).strip().rstrip('.')) or type(error).__name__})"


def changed(name: str) -> StageError:
    """Return the error about a file that is not what the key was made of."""
    return StageError(
        name,
        expected="a file that stays as it is while it is read",
        found="one that has changed since the run began",
        way_out="Run again when nobody writes to it any more.",
    )
