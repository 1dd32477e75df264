"""A page about one thing: labelled values, then titled lists; never wider than 80 columns where words can be parted."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text

from idxflow.views.console import Console

COLUMNS = 80
LABEL = 17
"""Columns of a label, as `Console.fact` prints it."""
SHOWN = 20
"""Lines of a list that are shown at most."""


def print_fact(console: Console, label: str, value: str) -> None:
    """Print a labelled value, with as many lines below the first as it takes."""
    first, *others = textwrap.wrap(value, COLUMNS - LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    console.fact(label, first)
    for line in others:
        console.line(f"{'':{LABEL}}{line}")


def print_list(console: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a titled list of names and values, unless it is empty."""
    if not rows:
        return
    console.line(Text(f"\n{title}", "bold"))
    wide = max(len(name) for name, _ in rows[:SHOWN])
    for name, value in rows[:SHOWN]:
        line = Text(f"  {name:{wide}}  {' '.join(value.split())}")
        line.truncate(max(COLUMNS, wide + 24), overflow="ellipsis")
        console.line(line)
    if len(rows) > SHOWN:
        console.line(Text(f"  and {len(rows) - SHOWN} more: --json has them all", "dim"))
