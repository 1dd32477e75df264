"""
`corrections.csv` as it lies on the disk: which labels of which images a person has corrected.

The first line names the columns: `sample` (a sample id), `split`, `label`, and perhaps `who` and `why`. They may stand
in any order, parted by commas, semicolons or tabs. Those of `idxflow hints --csv` that say what was found are ignored,
so that its lines can be kept, and their labels changed. A file that has no other line than the first corrects nothing.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from schemas.corrections import Correction, Corrections
from schemas.datasets import Dataset, TableSpec
from schemas.errors import UsageError
from schemas.visible import cell

WANTED = ("sample", "split", "label", "who", "why")
"""Columns that say something; a file needs the first three."""
IGNORED = ("file", "predicted", "probability", "loss")
"""Columns that hints have besides; of `file` see `Line.image`."""
LARGEST = 64 * 2**20
"""Bytes of the file: half a million lines with a sentence each."""
LONGEST = 1_000
"""Characters of a cell."""
HOW = "docs/labels.md shows what a correction looks like."


class Labels:
    """
    What the labels of a split may be called: by a class's name, or as its files store them.

    Args: numbered: whether they store numbers; what is packed stores names, and 0 is no class of 1 to 9.
    """

    def __init__(self, spec: TableSpec, *, numbered: bool = True) -> None:
        self.classes = spec.classes
        # A spreadsheet's reader may have a ' before what looks like a formula: hints are written so.
        self.names = {form: index for index, name in enumerate(spec.classes) for form in (cell(name), name.strip())}
        stored = spec.stored_labels if numbered else ()
        self._stored = {str(label): index for index, label in enumerate(stored)}

    def find(self, given: str) -> int | None:
        """Return the class index of a name, or else of a stored label; None where there is no such class."""
        return self.names.get(given, self._stored.get(given))


@dataclass(frozen=True)
class Line:
    """
    One line of the file.

    Args:
        shown:  what messages call the file.
        number: from 1; of cells with line feeds, that of the first.
        cells:  by column, without spaces around them.
        labels: of each split.
        packed: whether the set is made of files that have names.
    """

    shown: str
    number: int
    cells: Mapping[str, str]
    labels: Mapping[str, Labels]
    packed: bool

    @property
    def image(self) -> tuple[int | None, str]:
        """
        The sample id of the image that is meant, or the file that it was packed from. Raises: UsageError: neither.

        Where a set is packed and both are given, the file counts: sample ids move when files come and go.
        """
        given, file = self.cells.get("sample", ""), self.cells.get("file", "")
        if file and self.packed:
            return None, file
        if re.fullmatch("[0-9]{1,10}", given) and int(given) < 2**32:
            return int(given), ""
        if not given and file:
            raise self.wrong("a sample id", f"the file {file!r} alone", "Name the sample id: `idxflow hints` shows it.")
        raise self.wrong("a sample id, a whole number from 0", repr(given) if given else "none", HOW)

    @property
    def split(self) -> str:
        """The split that it is in. Raises: UsageError: none of the set's."""
        given = self.cells["split"]
        if given in self.labels:
            return given
        raise self.wrong(f"a split, {' or '.join(self.labels)}", repr(given) if given else "none", HOW)

    @property
    def label(self) -> int:
        """
        The class index of the label, given as the class's name, or else as its stored label.

        Raises: UsageError: there is no such class, or nothing is given.
        """
        given, labels = self.cells["label"], self.labels[self.split]
        if (found := labels.find(given)) is not None:
            return found
        few = ", ".join(labels.classes[:5]) + (", ..." if len(labels.classes) > 5 else "")
        if not given:
            way_out = f"Write one of {few}, or take the line out: as it is it says nothing."
            raise self.wrong("the label that is right", "none", way_out)
        close = difflib.get_close_matches(given, labels.names, n=1)
        way_out = f"Did you mean {close[0]}?" if close else f"Write one of {few}, or the label as the files store it."
        raise self.wrong("the name of a class", repr(given), way_out)

    @cached_property
    def correction(self) -> Correction:
        """What it says. Raises: UsageError: nothing, or nothing that can be."""
        sample, file = self.image
        return Correction(
            line=self.number, sample=sample, file=file, label=self.label, who=self._told("who"), why=self._told("why")
        )

    def wrong(self, expected: str, found: str, way_out: str) -> UsageError:
        """Return the error about this line."""
        return UsageError(f"{self.shown}, line {self.number}", expected=expected, found=found, way_out=way_out)

    def _told(self, column: str) -> str:
        return " ".join(self.cells.get(column, "").split())


def with_corrections(dataset: Dataset, path: Path, *, wanted: bool) -> Dataset:
    """
    Return a set with the corrections of the file `path`; without one, as it is.

    Args:   wanted: whether there has to be such a file.
    Raises: UsageError: it is missing, or does not say what it should; with the line.
    """
    if not wanted and not os.path.lexists(path):
        return dataset
    shown = path.name
    data = _read(path, shown)
    labels = {name: Labels(dataset.splits[name].spec, numbered=dataset.packed is None) for name in ("train", "test")}
    lines = list(_lines(_decode(data, shown), shown, labels, packed=dataset.packed is not None))
    first: dict[str, int] = {}
    for line in lines:
        image = f"{line.split} {line.correction.image}"
        if (before := first.setdefault(image, line.number)) != line.number:
            raise line.wrong("each image once", f"{image}, as in line {before}", "Keep one.")
    sha256 = hashlib.sha256(data).hexdigest()
    splits = {}
    for name, split in dataset.splits.items():
        rows = sorted((line.correction for line in lines if line.split == name), key=lambda row: row.order)
        found = Corrections(name=shown, sha256=sha256, labels=len(rows), rows=tuple(rows)) if rows else None
        splits[name] = split.model_copy(update={"corrections": found})
    return dataset.model_copy(update={"splits": splits})


def _read(path: Path, shown: str) -> bytes:
    try:
        # A pipe would be waited at, and a device read, for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(LARGEST + 1) if regular else b""
    except OSError as error:
        found, way_out = str(error.strerror), f"Bring it back, or delete it for no corrections. {HOW}"
        raise UsageError(shown, expected="a file of corrections", found=found, way_out=way_out) from error
    if not regular:
        found, way_out = "a pipe, a socket or a device", f"Write the corrections to a file. {HOW}"
        raise UsageError(shown, expected="a regular file", found=found, way_out=way_out)
    if len(data) > LARGEST:
        way_out = "So many labels are better corrected in the label files."
        raise UsageError(shown, expected=f"at most {LARGEST // 2**20} MiB", found="more", way_out=way_out)
    return data


def _decode(data: bytes, shown: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte {data[error.start]:02x} in line {line}"
        way_out = "Save it as UTF-8: in a spreadsheet it is a form of CSV of its own."
        raise UsageError(shown, expected="UTF-8 text", found=found, way_out=way_out) from error
    if "\0" in text:
        found, way_out = "a byte 0", "Save it as CSV, in UTF-8."
        raise UsageError(shown, expected="UTF-8 text", found=found, way_out=way_out)
    return text


def _lines(text: str, shown: str, labels: Mapping[str, Labels], *, packed: bool) -> Iterator[Line]:
    """Yield the lines below the first that have anything in them."""
    head = next((line for line in re.split("[\r\n]+", text) if line.strip()), "")
    if not head:
        return
    parted = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=parted, strict=True)
    columns: tuple[str, ...] = ()
    start = 1
    try:
        for row in reader:
            number, start = start, reader.line_num + 1
            cells = [each.strip() for each in row]
            if not any(cells):
                continue
            if not columns:
                columns = _columns(cells, f"{shown}, line {number}")
                continue
            if len(cells) > len(columns) and not any(cells[len(columns) :]):
                cells = cells[: len(columns)]
            line = Line(shown, number, dict(zip(columns, cells, strict=False)), labels, packed)
            if len(cells) != len(columns):
                way_out = "Put a text that has a comma in it into double quotes."
                raise line.wrong(f"{len(columns)} cells, as in the first line", str(len(cells)), way_out)
            if long := next((name for name in columns if len(line.cells[name]) > LONGEST), None):
                raise line.wrong(f"at most {LONGEST} characters of {long}", str(len(line.cells[long])), HOW)
            yield line
    except csv.Error as error:
        found, way_out = f"{error}", 'A cell with a " in it is written "like ""this""".'
        raise UsageError(f"{shown}, line {start}", expected="CSV", found=found, way_out=way_out) from error


def _columns(names: list[str], subject: str) -> tuple[str, ...]:
    columns = tuple(name.lower() for name in names)
    known = (*WANTED, *IGNORED)
    for name in columns:
        if name not in known or columns.count(name) > 1:
            close = difflib.get_close_matches(name, known, n=1)
            found = f"{name!r}{' twice' if name in known else ''}"
            way_out = f"Did you mean {close[0]}?" if close and name not in known else HOW
            raise UsageError(subject, expected=f"columns {', '.join(WANTED)}", found=found, way_out=way_out)
    missing = [name for name in ("split", "label") if name not in columns]
    missing += ["sample"] if not {"sample", "file"} & set(columns) else []
    if missing:
        found = f"no {missing[0]}"
        raise UsageError(subject, expected=f"columns {', '.join(WANTED)}", found=found, way_out=HOW)
    return columns
