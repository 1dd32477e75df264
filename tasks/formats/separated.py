"""
Tables in text (CSV, TSV): a column of labels with columns of pixels, or with a column of paths to pictures.

Which column is what is found by names and by what stands in the first lines, and told. Blocks of rows are read, so
that memory does not grow with the file. NumPy parses pixels, and refuses 256, -1, 1.5 and 7.0.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import isqrt
from typing import TYPE_CHECKING, BinaryIO, cast

from schemas.counts import counted
from schemas.errors import BadSource
from schemas.image_spec import ImageSpec
from schemas.visible import in_a_line
from tasks.formats.tree import Opener, opened

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LABELS = ("label", "labels", "class", "target", "y", "category")
"""Names of a column of labels, in the order in which they are preferred."""
PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img", "picture")
"""Names of a column of paths."""
INDEX = ("", "unnamed: 0", "index", "id")
"""Names of a column that counts rows, as pandas writes one."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
"""How the name of a picture ends."""
SEPARATORS = (",", "\t", ";")
ROWS, BLOCK_BYTES = 2000, 2**22
"""Of a block of pixels at most: rows, and bytes of them as pixels; as text they take up to four times as many."""
MAX_LINE = 2**24
"""Characters of a line: more than 1024 x 1024 pixels in colour take."""
SHOWN = 40
"""Characters of a cell that a message shows."""
LONGEST_LIST = 12
"""Columns that a message names."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_FRACTION = re.compile(r"[+-]?\d*\.\d*(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Found:
    """
    What the columns of a table are.

    Args:
        name:      of the file, for messages.
        separator: between cells.
        header:    names of the columns; empty: the first line is data.
        columns:   of each line.
        label:     the column of labels, from 0; None where there is none.
        path:      the column of paths; None where the table holds pixels.
        pixels:    the columns of pixels, in their order; empty where it holds paths.
        ignored:   columns that are neither.
        shape:     of an image of pixels; None where the table holds paths.
        why:       how the column of labels was found: a few words.
    """

    name: str
    separator: str
    header: tuple[str, ...]
    columns: int
    label: int | None
    path: int | None
    pixels: tuple[int, ...]
    ignored: tuple[int, ...]
    shape: ImageSpec | None
    why: str

    def column(self, at: int) -> str:
        """Return what a column is called in a message: by its name, and by its number from 1."""
        return f"column {at + 1}" + (f" ({in_a_line(self.header[at])[:SHOWN]!r})" if self.header else "")

    def told(self) -> str:
        """Say in a sentence what is taken for what."""
        rest = f"paths from {self.column(self.path)}" if self.path is not None else f"images of {self.shape}"
        first = "a header" if self.header else "data, as the table has no header"
        ignored = f"; not used: {', '.join(map(self.column, self.ignored))}" if self.ignored else ""
        labels = "no labels" if self.label is None else f"labels from {self.column(self.label)}, {self.why}"
        return f"{labels}; {rest}; the first line is {first}{ignored}"


def find_columns(open_file: Opener, name: str, label: str | int | None = None, shape: ImageSpec | None = None) -> Found:
    """
    Find out what the columns of a table are, from its first two lines.

    The label is the column that is given, else the one called as in LABELS, else the first one if all others are
    pixels. Of n x n pixels a square follows; otherwise the shape has to be given.

    Args:
        label: the column of labels: its name, or its number from 0 (-1: the last one).
        shape: of an image; values of a row are rows, then columns, then channels.
    Raises:  BadSource: no table, or it cannot be said what is what.
    """
    with _lines(open_file, name) as lines:
        numbered = list(islice(lines, 2))
    if not numbered:
        raise _bad(name, "a line at least", "an empty file", "Bring the whole file.")
    separator = _separator([line for _, line in numbered], name)
    first, second = (_cells(line, separator) for line in [numbered[0][1], numbered[-1][1]])
    if len(first) != len(second):
        raise _ragged(name, numbered[1][0], len(first), len(second))
    header = tuple(first) if _is_header(first, second) else ()
    names = [cell.strip().lower() for cell in header]
    path = _path_column(names, second)
    if path is not None:
        at, why = _label_beside(path, names, len(second), label, name)
        ignored = tuple(each for each in range(len(second)) if each not in {path, at})
        return Found(name, separator, header, len(second), at, path, (), ignored, None, why)
    at, why = _label_column(names, second, label, name)
    rest = [each for each in range(len(second)) if each != at]
    pixels = tuple(each for each in rest if not (names and names[each] in INDEX))
    if not _fits(len(pixels), shape) and _fits(len(rest), shape):
        pixels = tuple(rest)  # then it is no index, whatever its name
    found = Found(
        name, separator, header, len(second), at, None, pixels,
        tuple(each for each in rest if each not in pixels), None, why,
    )  # fmt: skip
    for each in pixels:
        if not _NUMBER.fullmatch(second[each].strip()):
            way_out = f"Beside the label ({', '.join(LABELS)}), a table has columns of pixels, or one of paths."
            raise _cell(found, numbered[-1][0], each, "a pixel or the path of a picture", second[each], way_out=way_out)
    return replace(found, shape=_shape(len(pixels), shape, name))


def find_pixels(open_file: Opener, name: str, label: str | None, shape: ImageSpec) -> Found:
    """
    Find out what the columns of a table of pixels are that need not have labels.

    Args:   label: the column of labels; None: found by its name, or by the number of columns.
    Raises: BadSource: as `find_columns`.
    """
    with _lines(open_file, name) as lines:
        numbered = list(islice(lines, 2))
    if label is None and numbered:
        separator = _separator([line for _, line in numbered], name)
        first, second = (_cells(line, separator) for line in [numbered[0][1], numbered[-1][1]])
        if len(first) != len(second):
            raise _ragged(name, numbered[1][0], len(first), len(second))
        header = tuple(first) if _is_header(first, second) else ()
        names = [cell.strip().lower() for cell in header]
        pixels = tuple(at for at in range(len(second)) if not (names and names[at] in {*INDEX, *LABELS}))
        if not set(names) & set(LABELS) and len(pixels) == shape.pixels:
            ignored = tuple(at for at in range(len(second)) if at not in pixels)
            return Found(name, separator, header, len(second), None, None, pixels, ignored, shape, "")
    found = find_columns(open_file, name, label, shape)
    if found.path is not None:
        raise _bad(name, f"columns of pixels, {shape.pixels}", "a list of files", "Name the folder that has them.")
    return found


def has_paths(open_file: Opener, name: str) -> bool:
    """Tell whether a table names pictures in its first lines; what does not read as a table names none."""
    try:
        with _lines(open_file, name) as lines:
            first = [line for _, line in islice(lines, 2)]
        cells = [_cells(line, _separator(first, name)) for line in first]
    except (BadSource, csv.Error):
        return False
    return bool(cells) and _path_column([], cells[-1]) is not None


def pixel_blocks(
    open_file: Opener, found: Found, rows: int = ROWS
) -> Iterator[tuple[list[str], npt.NDArray[np.uint8]]]:
    """
    Read a table of pixels, block by block.

    Args:   rows: of a block.
    Yields: labels, as text without spaces around it; and pixels, uint8 (n, rows, columns) or (n, rows, columns, 3).
    Raises: BadSource: a cell that is no whole number from 0 to 255, or no label, by line and column; a line with
            another number of cells; no row at all.
    """
    if found.shape is None:
        raise ValueError(f"{found.name} holds paths, not pixels")
    none = True
    with _data(open_file, found) as lines:
        rows = max(1, min(rows, BLOCK_BYTES // found.shape.pixels))
        while block := list(islice(lines, rows)):
            none = False
            yield _labels(block, found), _pixels(block, found).reshape(-1, *found.shape.array)
    if none:
        raise _no_rows(found)


def path_rows(open_file: Opener, found: Found) -> Iterator[tuple[int, str, str]]:
    """
    Read a table of paths.

    Yields: the number of the line, the path as it stands there, and the label; texts without spaces around them.
    Raises: BadSource: an empty path or label, or a label with a fraction, by line; a line with another number of
            cells; no row at all.
    """
    if found.path is None:
        raise ValueError(f"{found.name} holds pixels, not paths")
    none = True
    with _data(open_file, found) as lines:
        for number, line in lines:
            none = False
            cells = _cells(line, found.separator)
            if len(cells) != found.columns:
                raise _ragged(found.name, number, found.columns, len(cells))
            path = cells[found.path].strip()
            if not path:
                raise _cell(found, number, found.path, "a path", path, way_out="Complete this line, or take it out.")
            yield number, path, _label(cells[found.label or 0], number, found)
    if none:
        raise _no_rows(found)


@contextmanager
def _lines(open_file: Opener, name: str) -> Iterator[Iterator[tuple[int, str]]]:
    """Open a table as its lines that are not blank, each with its number from 1; inflate it where it is compressed."""
    with opened(open_file, name) as raw:
        buffered = io.BufferedReader(cast("io.RawIOBase", raw))
        with _guarded(name, 0):
            packed = buffered.peek(2)[:2] == b"\x1f\x8b"
        source = cast("BinaryIO", gzip.GzipFile(fileobj=buffered) if packed else buffered)
        try:
            yield _numbered(source, name)
        finally:
            buffered.detach()


@contextmanager
def _guarded(name: str, number: int) -> Iterator[None]:
    """Make an error of what reads, also from an archive, one of the table. Args: number: of the last sound line."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        found = f"damage behind line {number} ({str(error).strip().rstrip('.') or type(error).__name__})"
        raise _bad(name, "a whole file", found, "Get a sound copy of it.") from error


def _numbered(source: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    number = 0
    while True:
        with _guarded(name, number):
            line = source.readline(MAX_LINE)
        if not line:
            return
        number += 1
        if len(line) == MAX_LINE:
            raise _bad(f"{name}, line {number}", f"fewer than {MAX_LINE:,} bytes", "more", "It is no table of images.")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            wide = number == 1 and line.startswith((b"\xff\xfe", b"\xfe\xff"))
            what = "UTF-16" if wide else f"a byte {error.object[error.start]:02x}"
            raise _bad(f"{name}, line {number}", "UTF-8", what, "Save it as UTF-8.") from error
        if "\0" in text:
            raise _bad(f"{name}, line {number}", "text", "a byte of 0", "It is no table: name a CSV or TSV file.")
        if text := text.rstrip("\r\n"):
            yield number, text


@contextmanager
def _data(open_file: Opener, found: Found) -> Iterator[Iterator[tuple[int, str]]]:
    with _lines(open_file, found.name) as lines:
        if found.header:
            next(lines, None)
        yield lines


def _separator(lines: Sequence[str], name: str) -> str:
    """Return the sign that stands equally often in the first two lines, most often."""
    counts = {sign: [len(_cells(line, sign)) for line in lines] for sign in SEPARATORS}
    fitting = [sign for sign in SEPARATORS if counts[sign][0] > 1 and len(set(counts[sign])) == 1]
    some = fitting or [sign for sign in SEPARATORS if counts[sign][0] > 1]
    if not some:
        shown = repr(in_a_line(lines[0])[:SHOWN])
        raise _bad(name, "columns separated by commas, tabs or semicolons", shown, "Name a CSV or TSV file.")
    return max(some, key=lambda sign: counts[sign][0])


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.split(separator)
    csv.field_size_limit(MAX_LINE)
    return next(csv.reader([line], delimiter=separator))


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """
    Return whether a first line is names: those of labels or paths, or no number where the second line has one.

    A line of numbers, or with a path, is data, whatever else it says; numbers that count (0, 1, 2) name pixels.
    """
    cells = [cell.strip().lower() for cell in first]
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
    if len(numbers) == len(cells) or any(cell.endswith(SUFFIXES) for cell in cells):
        return False
    if any(cell in {*LABELS, *PATHS} for cell in cells):
        return not numbers or (all(cell.isdecimal() for cell in numbers) and _counts(list(map(int, numbers))))
    return any(_is_datum(below) and not _is_datum(cell) for cell, below in zip(cells, second, strict=True))


def _counts(numbers: Sequence[int]) -> bool:
    return all(after == before + 1 for before, after in pairwise(numbers))


def _is_datum(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip())) or cell.strip().lower().endswith(SUFFIXES)


def _path_column(names: Sequence[str], cells: Sequence[str]) -> int | None:
    paths = [at for at, cell in enumerate(cells) if cell.strip().lower().endswith(SUFFIXES)]
    named = [at for at in paths if names and names[at] in PATHS]
    return next(iter(named or paths), None)


def _given(label: str | int, names: Sequence[str], columns: int, name: str) -> int:
    if isinstance(label, int):
        if not -columns <= label < columns:
            raise _bad(name, f"a column {label}", f"{counted(columns, 'column')}", "Count from 0.")
        return label % columns
    if (wanted := label.strip().lower()) not in names:
        raise _bad(name, f"a column {label!r}", _listed(names), "Name one that is there.")
    return names.index(wanted)


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no header"
    more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
    return ", ".join(repr(in_a_line(each)[:SHOWN]) for each in names[:LONGEST_LIST]) + more


def _named(names: Sequence[str], name: str) -> int | None:
    """Return the column that has a name of labels; two that do are an error, not a guess."""
    named = [at for at, each in enumerate(names) if each in LABELS]
    if len(named) > 1:
        both = ", ".join(repr(names[at]) for at in named)
        raise _bad(name, "one column of labels", f"{len(named)} that may be it: {both}", "Say which one is the label.")
    return named[0] if named else None


def _label_column(names: Sequence[str], cells: Sequence[str], label: str | int | None, name: str) -> tuple[int, str]:
    if label is not None:
        return _given(label, names, len(cells), name), "as it is said"
    if (named := _named(names, name)) is not None:
        return named, "as its name says"
    if all(_NUMBER.fullmatch(cell.strip()) for cell in cells[1:]):
        return 0, "as it is the first, and all others are pixels"
    way_out = f"Call the column of labels {LABELS[0]!r}, or say which one it is."
    raise _bad(name, "a column of labels", _listed(names), way_out)


def _label_beside(path: int, names: Sequence[str], columns: int, label: str | int | None, name: str) -> tuple[int, str]:
    if label is not None:
        at, why = _given(label, names, columns, name), "as it is said"
    elif (named := _named(names, name)) is not None:
        at, why = named, "as its name says"
    elif columns == 2:
        at, why = 1 - path, "as it is the only other one"
    else:
        found = _listed(names) if names else f"{columns - 1} columns beside that of paths, and no header"
        raise _bad(name, "a column of labels", found, f"Call it {LABELS[0]!r}, or say which one it is.")
    if at == path:
        raise _bad(name, "labels and paths in two columns", "one for both", "Say which other one is the label.")
    return at, why


def _fits(pixels: int, shape: ImageSpec | None) -> bool:
    return pixels == shape.pixels if shape else pixels > 0 and isqrt(pixels) ** 2 == pixels


def _shape(pixels: int, shape: ImageSpec | None, name: str) -> ImageSpec:
    if _fits(pixels, shape):
        return shape or ImageSpec(rows=isqrt(pixels), columns=isqrt(pixels))
    found = f"{pixels} columns of pixels" if pixels != 1 else "1 column of pixels"
    if shape is None:
        raise _bad(name, "as many pixels as a square has", found, "Say the size, as in --size 28x20.")
    raise _bad(name, f"{shape.pixels} columns of pixels, for images of {shape}", found, "Correct the size.")


def _pixels(block: Sequence[tuple[int, str]], found: Found) -> npt.NDArray[np.uint8]:
    import numpy as np

    lines = [line for _, line in block]
    for number, line in block:  # with usecols, NumPy takes lines of any length
        cells = line.count(found.separator) + 1 if '"' not in line else len(_cells(line, found.separator))
        if cells != found.columns:
            raise _ragged(found.name, number, found.columns, cells)
    try:
        return np.loadtxt(
            lines, np.uint8, comments=None, delimiter=found.separator, usecols=found.pixels, ndmin=2, quotechar='"'
        )
    except ValueError as error:
        raise _wrong_pixel(block, found, error) from error


def _wrong_pixel(block: Sequence[tuple[int, str]], found: Found, error: ValueError) -> BadSource:
    """Find the first cell that is no pixel: NumPy counts rows of the block, not lines of the file."""
    for number, line in block:
        cells = _cells(line, found.separator)
        for at in found.pixels:
            cell = cells[at].strip()
            if not re.fullmatch(r"\+?[0-9]{1,9}", cell) or int(cell) > 255:
                return _cell(
                    found, number, at, "a pixel, a whole number from 0 to 255", cell, way_out="Write pixels as uint8."
                )
    return _bad(found.name, "whole numbers from 0 to 255", str(error).rstrip("."), "Write pixels as uint8.")


def _labels(block: Sequence[tuple[int, str]], found: Found) -> list[str]:
    if found.label is None:
        return [""] * len(block)
    labels = list[str]()
    for number, line in block:
        if '"' in line:
            cell = _cells(line, found.separator)[found.label]
        elif found.label == found.columns - 1:
            cell = line.rpartition(found.separator)[2]
        else:
            cell = line.split(found.separator, found.label + 1)[found.label]
        labels.append(_label(cell, number, found))
    return labels


def _label(cell: str, number: int, found: Found) -> str:
    label = cell.strip()
    if found.label is not None and (not label or _FRACTION.fullmatch(label)):
        way_out = "Write labels as text or whole numbers."
        raise _cell(found, number, found.label, "a label, text or a whole number", label, way_out=way_out)
    return label


def _cell(found: Found, number: int, at: int, expected: str, cell: str, *, way_out: str) -> BadSource:
    shown = repr(in_a_line(cell)[:SHOWN]) if cell else "an empty cell"
    return _bad(f"{found.name}, line {number}, {found.column(at)}", expected, shown, way_out)


def _ragged(name: str, number: int, expected: int, found: int) -> BadSource:
    subject = f"{name}, line {number}"
    return _bad(subject, counted(expected, "column"), f"{found}", "Correct this line: it may be cut off, or joined.")


def _no_rows(found: Found) -> BadSource:
    return _bad(found.name, "rows of data", "a header alone", "Bring the whole file.")


def _bad(subject: str, expected: str, found: str, way_out: str) -> BadSource:
    return BadSource(subject, expected=expected, found=found, way_out=way_out)
