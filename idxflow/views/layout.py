"""How facts become lines: columns as wide as their content, whole words, local time, paths seen from here."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rich.cells import cell_len
from rich.text import Text

COLUMNS = 80
"""Columns of a page about one thing, where its words can be parted."""
LABEL = 17
"""Columns of a label and the space behind it."""
GAP = "  "
NARROW = 88
"""Columns of a terminal below which a version is cut in half, as git abbreviates."""
LEAST = 20
"""Columns that a text below a row has at least, however narrow the terminal is."""
CLOCK = "The clock was wrong then, or is now; the order of runs does not depend on it."
"""About records that are dated in the future."""


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Collection[str] = ()
) -> Iterator[Text]:
    """
    Yield the header and the rows of a table as lines.

    rich's own table fits the terminal, or 80 columns of a pipe, by cutting cells; here a row stays whole on one line.

    Args: right: names of the columns that are aligned to the right, as figures are.
    """
    cells = [[Text(name, "bold") for name in header]]
    cells += [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    widths = [max(cell_len(cell.plain) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        line = Text()
        for name, cell, width in zip(header, row, widths, strict=True):
            space = " " * (width - cell_len(cell.plain))
            line.append_text(Text.assemble(space, cell, GAP) if name in right else Text.assemble(cell, space, GAP))
        line.rstrip()
        yield line


def wrapped(text: str, columns: int) -> list[str]:
    """Return a text as lines of whole words; a path or version that is longer than a line is never cut."""
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)


def below(text: str, indent: int, width: int | None, style: str = "dim") -> Iterator[Text]:
    """
    Yield a text as indented lines of whole words, to stand below a row.

    Args: width: columns of the terminal; None for a file, where a text is one line.
    """
    wide = max(LEAST, width - indent) if width is not None else len(text) + 1
    yield from (Text(" " * indent + part, style) for part in wrapped(text, wide))


def shown_version(version: str, width: int | None) -> str:
    """Return a version as a row of a terminal has room for it. Args: width: as in `below`."""
    return version[:8] if width is not None and width < NARROW else version


def few(names: Sequence[str], most: int = 3) -> str:
    """Return `a, b, c, and 2 more`."""
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")


def local_time(moment: str, *, seconds: bool = False) -> str:
    """
    Return a moment as `2026-11-24 14:00`, in the local time zone.

    Args: moment: ISO 8601, with its offset from UTC.
    """
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def short_path(path: Path) -> str:
    """Return a path as seen from the working folder when it lies below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def present(*rows: tuple[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the labelled values that are there, each as text; a path as seen from the working folder."""
    for label, value in rows:
        if value:
            yield label, short_path(value) if isinstance(value, Path) else str(value)
