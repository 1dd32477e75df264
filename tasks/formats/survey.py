"""
What lies at a place: its kind, parts, classes and shape, found from names and headers before anything is decoded.

What a survey finds holds for all of it, or the stage pack refuses it: the shape is that of the first picture.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from schemas.class_names import Classes
from schemas.counts import counted
from schemas.errors import BadSource
from schemas.image_spec import ImageSpec
from schemas.pictures import PictureSpec
from schemas.source import CHANNELS, Choices, Kind, SplitName
from tasks.formats.layout import ARRAYS, TABLES, PictureLayout, in_label_order, is_picture, lay_out, suffix_of
from tasks.formats.listed import lay_out_listed, tables_of_paths
from tasks.formats.parts import find_parts
from tasks.formats.pictures import GREY, Look, look
from tasks.formats.refused import Refused
from tasks.formats.tree import Tree

_CLASSES = TypeAdapter(Classes)
TRIED = 50
"""Pictures of which one has to read: else the place holds something else under these names."""


@dataclass(frozen=True)
class Survey:
    """
    What was found, with what a person has said.

    Args:
        kind:    what lies there.
        picture: what each image becomes.
        classes: names, in label order.
        splits:  the parts that it has of its own.
        counts:  images of each part, as far as they are known.
        unused:  reasons why files are not used, by name.
        first:   of pictures, the header of the first one that reads.
        told:    of rows, what was taken for what, a sentence each.
        tables:  that list the pictures, by part.
        classes_of: of rows, how many each class has, by part.
    """

    kind: Kind
    picture: PictureSpec
    classes: tuple[str, ...]
    splits: tuple[SplitName, ...]
    counts: dict[SplitName, int]
    unused: dict[str, str] = field(default_factory=dict)
    first: Look | None = None
    told: tuple[str, ...] = ()
    tables: dict[SplitName, str] = field(default_factory=dict)
    classes_of: dict[SplitName, dict[str, int]] = field(default_factory=dict)


def kind_of_tree(tree: Tree) -> Kind:
    """
    Tell what lies under a path.

    Raises: BadSource: nothing of any kind.
    """
    names = [entry.name for entry in tree.entries if entry.used]
    suffixes = {suffix_of(name) for name in names}
    if suffixes & ARRAYS and not any("/" in name and is_picture(name) for name in names):
        return "arrays"
    if suffixes & TABLES and not any("/" in name and is_picture(name) and suffix_of(name) for name in names):
        return "table"
    if any(is_picture(name) and suffix_of(name) for name in names):
        return "pictures"
    if any(_begins_as_idx(tree, name) for name in names[:TRIED]):
        return "idx"
    if any("/" in name for name in names):
        return "pictures"
    raise _nothing(tree, names)


def survey(tree: Tree, choices: Choices, tables: Mapping[SplitName, str] | None = None) -> Survey:
    """
    Find out what lies under a path.

    Args:   tables: that a person has named, as what lists the pictures, by part.
    Raises: BadSource: nothing that can be used, or what a person has said does not fit it.
    """
    if listing := tables or tables_of_paths(tree, choices.label):
        found = survey_pictures(tree, choices, listing)
    else:
        kind = kind_of_tree(tree)
        found = survey_pictures(tree, choices) if kind == "pictures" else survey_rows(tree, kind, choices)
    try:
        _CLASSES.validate_python(found.classes)
    except ValidationError as error:
        first = error.errors()[0]
        place = f" ({found.classes[at]!r})" if first["loc"] and isinstance(at := first["loc"][0], int) else ""
        raise BadSource(
            tree.name,
            expected="at most 65,536 classes, each with a name in one line of at most 200 characters, and no two alike",
            found=f"{counted(len(found.classes), 'class', ',')}{place}: {first['msg'].removeprefix('Value error, ')}",
            way_out="Rename the folder or the label; or say with --label which column has the labels.",
        ) from error
    return found


def survey_rows(tree: Tree, kind: Kind, choices: Choices) -> Survey:
    """Find parts and shape in names and headers, and the classes among the labels, all of which are read."""
    with tempfile.TemporaryDirectory() as scratch:
        found = find_parts(tree, kind, choices, Path(scratch))
        counts: dict[SplitName, Counter[str]] = {part: Counter() for part in found.parts}
        for part, rows in found.parts.items():
            for _, labels in rows.blocks():
                counts[part].update(labels)
    there = set().union(*counts.values())
    if choices.classes is not None and (missing := [each for each in choices.classes if each not in there]):
        raise BadSource(
            tree.name,
            expected=f"rows of {counted(len(choices.classes), 'class')}, as chosen",
            found=f"none of {', '.join(missing[:3])}",
            way_out=f"Correct --classes: there are {', '.join(in_label_order(there)[:20])}.",
        )
    if len(there) < 2:
        found_there = f"one, {next(iter(there))}" if there else "none"
        way_out = "A network learns to tell classes apart: bring another."
        raise BadSource(tree.name, expected="two classes at least", found=found_there, way_out=way_out)
    classes = choices.classes or in_label_order(there)
    shape = found.shape
    return Survey(
        kind=kind,
        picture=PictureSpec(shape=shape),
        classes=classes,
        splits=tuple(found.parts),
        counts={part: sum(of[label] for label in classes) for part, of in counts.items()},
        classes_of={part: {label: of[label] for label in classes} for part, of in counts.items()},
        unused=found.unused,
        told=found.told,
    )


def survey_pictures(tree: Tree, choices: Choices, tables: Mapping[SplitName, str] | None = None) -> Survey:
    """Find classes and parts in the folders' names, or in tables, and the shape in the first picture's header."""
    layout = picture_layout(tree, tables or {}, choices.label, choices.classes)
    first = _first(tree, layout)
    return Survey(
        kind="pictures",
        picture=picture_spec(choices, (first.rows, first.columns), 1 if first.mode in GREY else 3),
        classes=layout.classes,
        splits=layout.parts,
        counts={part: sum(counts.values()) for part, counts in layout.counts().items()},
        unused=layout.unused,
        first=first,
        tables=dict(tables or {}),
    )


def picture_layout(
    tree: Tree, tables: Mapping[SplitName, str], label: str | None, chosen: Sequence[str] | None
) -> PictureLayout:
    """Say which pictures are used, and as what. Args: tables: that list them, by part; without, folders decide."""
    if tables:
        return lay_out_listed(tree, tables, label, chosen)
    return _laid_out(tree.entries, tree.name, tree.empty, None if chosen is None else tuple(chosen))


_laid_out = lru_cache(maxsize=1)(lay_out)
"""Of a tree that is looked at twice, see `tasks.formats.tree.open_tree`."""


def picture_spec(choices: Choices, size: Sequence[int], channels: int) -> PictureSpec:
    """Return what an image becomes: as a person has said, else as the first one is."""
    rows, columns = choices.size or size
    spec = {name: getattr(choices, name) for name in PictureSpec.model_fields if name not in {"shape", "color"}}
    channels = CHANNELS[choices.color] if choices.color else channels
    shape = ImageSpec(rows=rows, columns=columns, channels=channels)
    return PictureSpec(shape=shape, color="convert" if choices.color else "exact", **spec)


def _first(tree: Tree, layout: PictureLayout) -> Look:
    """Return the header of the first picture that has one, of one class after the other."""
    tried = list[str]()
    for _, found in zip(range(TRIED), tree.stream(each.name for each in layout.placed), strict=False):
        name, data = found
        try:
            if isinstance(data, bytes):
                return look(data)
            raise data
        except Refused as refused:
            tried.append(f"{name}: {refused.reason}")
    raise BadSource(
        tree.name,
        expected=f"a picture among the first {len(tried)}",
        found="; ".join(tried[:3]),
        way_out="Bring PNG, JPEG, GIF, BMP, TIFF, WebP or PNM files; docs/pictures.md says what is read.",
    )


def _begins_as_idx(tree: Tree, name: str) -> bool:
    from tasks.formats.kinds import GZIP, IDX, XZ, kind_of

    try:
        with tree.open(name) as file:
            head = file.read(512)
    except Refused:
        return False
    return kind_of(head, len(head)) in {IDX, GZIP, XZ}


def _nothing(tree: Tree, names: Sequence[str]) -> BadSource:
    few = ", ".join(sorted({suffix_of(name) or "no ending" for name in names})[:5])
    return BadSource(
        tree.name,
        expected="class folders of pictures, a CSV or TSV, an .npz, or IDX files",
        found=f"files with {few}" if names else "no file",
        way_out="docs/datasets.md shows each form. `idxflow describe` says what is there.",
    )
