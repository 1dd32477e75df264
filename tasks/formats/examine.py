"""What is in a place of pictures, in figures: each header is read, and no picture decoded."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from pydantic import BaseModel, Field

from schemas.source import Kind, SplitName
from tasks.formats.layout import PictureLayout
from tasks.formats.pictures import GREY, look
from tasks.formats.refused import Refused
from tasks.formats.survey import Survey
from tasks.formats.tree import Tree


class Contents(BaseModel, frozen=True):
    """
    What lies at a place.

    Args:
        kind:    of what it is made.
        files:   all that lie there, also hidden ones.
        counts:  images of each class, by part.
        empty:   classes with a folder and without a picture.
        unused:  files that are not used, by the reason; and the first of each.
        sizes:   rows x columns, by how many pictures.
        formats: format and mode, as Pillow calls them, by how many.
        copies:  pictures whose file is equal to one before it, in whatever folder.
        clashes: of those, in how many the two lie in folders of different classes.
        turned:  pictures that their EXIF orientation turns.
        grey, colour, transparent, animated, deep: pictures of these kinds; deep: of 16 bits a channel.
        told:    of rows, what was taken for what.
    """

    kind: Kind
    files: int
    counts: dict[SplitName, dict[str, int]]
    empty: tuple[str, ...] = ()
    unused: dict[str, int] = Field(default_factory=dict)
    first: dict[str, str] = Field(default_factory=dict)
    sizes: dict[str, int] = Field(default_factory=dict)
    formats: dict[str, int] = Field(default_factory=dict)
    copies: int = 0
    clashes: int = 0
    turned: int = 0
    grey: int = 0
    colour: int = 0
    transparent: int = 0
    animated: int = 0
    deep: int = 0
    told: tuple[str, ...] = ()


def examine(tree: Tree, layout: PictureLayout) -> Contents:
    """Read the header of every picture, and the bytes of all."""
    sizes, formats, unused = Counter[str](), Counter[str](), dict(layout.unused)
    labels = {each.name: each.label for each in layout.placed}
    seen: dict[bytes, str] = {}
    copies = clashes = turned = 0
    kinds = Counter[str]()
    for name, data in tree.stream(each.name for each in layout.placed):
        try:
            if isinstance(data, Refused):
                raise data
            found = look(data)
        except Refused as refused:
            unused[name] = refused.reason
            continue
        sizes[f"{found.rows} x {found.columns}"] += 1
        deep = ", 16 bits" if found.deep else ""
        frames = f", {found.frames} frames" if found.frames > 1 else ""
        formats[f"{found.format} {found.mode}{deep}{frames}"] += 1
        turned += found.turned
        kinds["grey" if found.mode in GREY else "colour"] += 1
        kinds["transparent"] += found.alpha
        kinds["animated"] += found.frames > 1 and found.format != "MPO"
        kinds["deep"] += found.deep
        before = seen.setdefault(hashlib.sha256(data).digest(), name)
        copies += before != name
        clashes += labels[before] != labels[name]
    return Contents(
        kind="pictures",
        files=len(tree.entries),
        counts=_counts(layout, unused),
        empty=layout.empty,
        unused=dict(Counter(unused.values()).most_common()),
        first=_first(unused),
        sizes=dict(sizes.most_common()),
        formats=dict(formats.most_common()),
        copies=copies,
        clashes=clashes,
        turned=turned,
        **kinds,
    )


def rows_contents(found: Survey, unused: Mapping[str, str], files: int) -> Contents:
    """Say the same of a place of rows. Args: unused: why files are not used, by name.  files: all that lie there."""
    return Contents(
        kind=found.kind,
        files=files,
        counts=found.classes_of,
        unused=dict(Counter(unused.values()).most_common()),
        first=_first(unused),
        told=found.told,
    )


def _counts(layout: PictureLayout, unused: Mapping[str, str]) -> dict[SplitName, dict[str, int]]:
    """Count the pictures of each class that have a header, by part."""
    counts: dict[SplitName, dict[str, int]] = {part: dict.fromkeys(layout.classes, 0) for part in layout.parts}
    for each in layout.placed:
        counts[each.part][each.label] += each.name not in unused
    return counts


def _first(unused: Mapping[str, str]) -> dict[str, str]:
    first: dict[str, str] = {}
    for name, reason in unused.items():
        first.setdefault(reason, name)
    return first
