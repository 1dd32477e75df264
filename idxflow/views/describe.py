"""What lies at a place, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.text import Text

from flows.described import Description
from idxflow.views.console import SHOWN, Console
from schemas.counts import counted

WHAT = {"pictures": "with pictures", "table": "with rows of pixels", "arrays": "with arrays", "idx": "in IDX form"}
"""What lies at a place, in words."""


def print_description(console: Console, found: Description, out: Path | None) -> None:
    """Print a description, and the command that runs it."""
    contents = found.contents
    console.paragraph("Place", f"{found.place}: {counted(contents.files, 'file', ',')}, {WHAT[contents.kind]}")
    for part, counts in contents.counts.items():
        console.paragraph(
            part.capitalize(), f"{counted(sum(counts.values()), 'image', ',')} of {counted(len(counts), 'class')}"
        )
    for sentence in contents.told:
        console.paragraph("Read as", sentence)
    if contents.kind == "pictures":
        console.paragraph("Sizes", _most(contents.sizes))
        console.paragraph("Formats", _most(contents.formats))
        clashes = f", {contents.clashes:,} of them in two classes" if contents.clashes else ""
        console.paragraph(
            "Equal files", f"{contents.copies:,} that occur before{clashes}" if contents.copies else "none"
        )
        if contents.turned:
            console.paragraph("Turned", f"{contents.turned:,} by their EXIF orientation")
    if contents.empty:
        console.paragraph("Empty", f"class folders without a picture: {', '.join(contents.empty)}")
    for reason, count in contents.unused.items():
        console.paragraph("Not used", f"{count:,}: {reason} ({contents.first[reason]}{', ...' if count > 1 else ''})")
    rows, columns, *channels = found.shape
    console.line(Text("\nA run would have", "bold"))
    console.paragraph("Images", f"{rows} x {columns}, {'in colour' if channels else 'grey'}")
    console.paragraph("Classes", _few(found.classes))
    console.paragraph("Test split", found.test)
    for said in found.refused:
        console.paragraph("Refused", said)
    if out:
        console.line(f"\nWritten: {out}. Run it with: idxflow run --dataset {out}")
    else:
        console.line("\nAs a description, which --out writes:\n")
        for line in found.toml.splitlines():
            console.line(f"  {line}")


def _most(counts: Mapping[str, int]) -> str:
    shown = [f"{what} ({count:,})" for what, count in list(counts.items())[:5]]
    return ", ".join(shown) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
