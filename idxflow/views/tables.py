"""Plain tables: columns as wide as what stands in them; what is longer than a terminal is wide stands below its row."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

GAP = "  "
NARROW = 88
"""Columns of a terminal below which a version is cut in half, as git abbreviates."""
LEAST = 20
"""Columns that a text below a row has at least, however narrow the terminal is."""


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Collection[str] = ()
) -> Iterator[Text]:
    """
    Yield the header and the rows of a table as lines.

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


def below(text: str, indent: int, width: int | None, style: str = "dim") -> Iterator[Text]:
    """
    Yield a text as indented lines of whole words, to stand below a row.

    Args: width: columns at hand; None for a file, where a text is one line.
    """
    wide = max(LEAST, width - indent) if width is not None else len(text) + 1
    for part in textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False):
        yield Text(" " * indent + part, style)


def shown_version(version: str, width: int | None) -> str:
    """Return a version as a row of a terminal has room for it. Args: width: as in `below`."""
    return version[:8] if width is not None and width < NARROW else version
