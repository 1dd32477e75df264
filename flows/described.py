"""What lies at a place, what a run would make of it, and the description that says so."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from artifacts.store.store import Store
from flows.own_source import own_dataset, table_in
from schemas.addresses import below_home
from schemas.datasets import Dataset
from schemas.pictures import PictureSpec
from schemas.source import Choices
from schemas.visible import in_a_line
from tasks.formats.examine import Contents, examine, rows_contents
from tasks.formats.survey import picture_layout, survey
from tasks.formats.tree import open_tree


class Description(BaseModel, frozen=True):
    """
    A place, described.

    Args:
        contents: what is there.
        shape:    of an image, as a run would have it.
        classes:  names, in label order.
        test:     where the test split comes from, in words.
        toml:     the description of it.
    """

    place: str
    contents: Contents
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    test: str
    refused: tuple[str, ...] = Field(default=(), description="what a run would refuse, and the flag that has it used")
    toml: str = Field(repr=False)


def describe_place(store: Store, given: str, choices: Choices, beside: Path) -> Description:
    """
    Look at every file of a place.

    Args:   beside: the folder in which the description will lie.
    Raises: BadSource: nothing that can be used.  StageError: it cannot be read.
    """
    path, tables = table_in(below_home(given))
    data = own_dataset(store, path, given, choices, tables)
    if data.packed is None:
        raise RuntimeError("a data set of a place is packed")
    source = data.packed
    with open_tree(Path(source.path)) as tree:
        found = survey(tree, choices, source.tables)
        if source.kind == "pictures":
            contents = examine(tree, picture_layout(tree, source.tables, source.label, choices.classes))
        else:
            unused = {entry.name: found.unused.get(entry.name, entry.left_out) for entry in tree.entries}
            contents = rows_contents(found, {name: reason for name, reason in unused.items() if reason}, len(unused))
    fraction = data.test_fraction
    cut = "its own part of the place" if fraction is None else f"{100 * fraction:g} % of the images, cut off"
    return Description(
        place=given,
        contents=contents,
        shape=data.packed.shape.array,
        classes=data.packed.classes,
        test=cut,
        refused=tuple(would_refuse(contents, source.picture)) if source.kind == "pictures" else (),
        toml=to_toml(data, choices, os.path.relpath(os.path.realpath(path), os.path.realpath(beside))),
    )


def would_refuse(contents: Contents, spec: PictureSpec) -> Iterator[str]:
    """Say which pictures a run would refuse, as far as headers tell, a sentence each."""
    shape, size = spec.shape, f"{spec.shape.rows} x {spec.shape.columns}"
    others = sum(count for each, count in contents.sizes.items() if each != size)
    if spec.fit == "exact" and others:
        flags = f"--size {shape.rows}x{shape.columns} --fit pad, or --fit stretch"
        yield f"{others:,} of another size than {size}: {flags}"
    unlike = contents.grey if shape.colour else contents.colour
    if spec.color == "exact" and unlike:
        yield f"{unlike:,} {'grey' if shape.colour else 'in colour'}, others are not: --color gray or --color rgb"
    if spec.background is None and contents.transparent:
        yield f"{contents.transparent:,} that may have transparent parts: --background 0 to 255"
    if spec.frames == "refuse" and contents.animated:
        yield f"{contents.animated:,} of several frames: --frames first"
    if spec.deep == "refuse" and contents.deep:
        yield f"{contents.deep:,} of 16 bits a channel: --deep shift"


def to_toml(data: Dataset, choices: Choices, path: str) -> str:
    """Return a description of a place, with all that a run decides written out. A JSON text or list is one in TOML."""
    source = data.packed
    if source is None:
        raise RuntimeError("a data set of a place is packed")
    said: dict[str, object] = {
        "path": f"./{path}" if path.startswith("~") else path,
        "size": [source.shape.rows, source.shape.columns],
        # Of pictures, a colour that is said converts those of another, which are refused where nothing is said.
        "color": choices.color if source.kind == "pictures" else "rgb" if source.shape.channels > 1 else "gray",
        **{name: getattr(choices, name) for name in sorted(choices.model_fields_set - {"size", "color", "classes"})},
        "classes": list(source.classes),
    }
    if data.test_fraction is not None:
        said["test_fraction"] = data.test_fraction
    if source.tables:
        said["tables"] = source.tables
    lines = [f"{name} = {_toml(value)}" for name, value in said.items() if value is not None]
    return "\n".join([f"title = {_toml(in_a_line(data.title))}", "", "[pack]", *lines, ""])


def _toml(value: object) -> str:
    """Write a text, a number, a list or a table of texts as TOML: JSON but for what TOML does not take as it is."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
