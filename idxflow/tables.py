"""Plain tables: columns as wide as what stands in them, on a terminal and in a file alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

GAP = "  "


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
