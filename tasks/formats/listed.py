"""Pictures that a table lists, with their labels, instead of folders."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.counts import counted
from schemas.errors import BadSource
from schemas.source import SplitName
from tasks.formats.layout import NOT_CHOSEN, PictureLayout, Placed, in_label_order, is_picture, lay_out, suffix_of
from tasks.formats.layout import TABLES as SUFFIXES
from tasks.formats.parts import by_name, opener
from tasks.formats.separated import LABELS, find_columns, has_paths, path_rows
from tasks.formats.tree import Tree, open_tree

NOT_LISTED = "no line of {} names it"
THE_LIST = "the table that lists the pictures"
SHOWN = 3


def tables_of_paths(tree: Tree, label: str | None) -> dict[SplitName, str]:
    """
    Return the tables of a place that list its pictures, by part; nothing where no table does.

    Other tables are left alone. Where folders say the classes as well, one that lists pictures goes before them if its
    column of labels is called so, or it has no header, or `label` says which column it is.

    Raises: BadSource: two for one part, or one that lists pictures and does not say their labels.
    """
    names = [entry.name for entry in tree.entries if entry.used and suffix_of(entry.name) in SUFFIXES]
    pictures = any(entry.used and is_picture(entry.name) and suffix_of(entry.name) for entry in tree.entries)
    if not names or not pictures:
        return {}
    folders = _in_class_folders(tree)
    listing = list[str]()
    for name in names:
        if not has_paths(opener(tree, name), name):
            continue
        if folders and label is None and not _is_clear(tree, name):
            raise BadSource(
                tree.name,
                expected="one answer to which class a picture is of",
                found=f"{name}, which lists pictures, beside folders of pictures",
                way_out="Name its column of labels with --label, or take the table out of the folder.",
            )
        if find_columns(opener(tree, name), name, label).path is not None:
            listing.append(name)
    return by_name(tree, listing, "tables")[0] if listing else {}


def _is_clear(tree: Tree, name: str) -> bool:
    """Tell whether a table that lists pictures was made to say their labels."""
    try:
        found = find_columns(opener(tree, name), name)
    except BadSource:
        return False
    return not found.header or found.label is None or found.header[found.label].strip().lower() in LABELS


def _in_class_folders(tree: Tree) -> bool:
    """Tell whether folders say the classes of pictures."""
    try:
        lay_out(tree.entries, tree.name, tree.empty, None)
    except BadSource:
        return False
    return True


def lists_pictures(path: Path) -> bool:
    """Tell whether a path is that of a table which lists pictures. Raises: BadSource: it cannot be read."""
    if not path.is_file() or suffix_of(path.name) not in SUFFIXES:
        return False
    with open_tree(path) as tree:
        return has_paths(opener(tree, path.name), path.name)


def lay_out_listed(
    tree: Tree, tables: Mapping[SplitName, str], label: str | None, chosen: Sequence[str] | None
) -> PictureLayout:
    """
    Read parts and classes out of tables, in the order of their lines. Paths are seen from the folder of the table.

    Raises: BadSource: a line names no file, or one that another line gives another label or part.
    """
    entries = {entry.name: entry for entry in tree.entries}
    placed: dict[str, Placed] = {}
    unused: dict[str, str] = {}
    missing = list[str]()
    for part, table in tables.items():
        found = find_columns(opener(tree, table), table, label)
        for line, path, name_of in path_rows(opener(tree, table), found):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(table), path.replace("\\", "/")))
            if name not in entries:
                missing.append(f"line {line}: {path}")
                continue
            each = Placed(name, part, name_of)
            if (before := placed.setdefault(name, each)) != each:
                raise BadSource(
                    f"{table}, line {line}",
                    expected=f"each picture in one part and class: {name} is {before.label} in {before.part}",
                    found=f"{name_of} in {part}",
                    way_out="Correct one of the two lines.",
                )
    if missing:
        raise BadSource(
            next(iter(tables.values())),
            expected="a file for each line",
            found=f"none for {counted(len(missing), 'line', ',')} ({', '.join(missing[:SHOWN])})",
            way_out="Correct the paths, which are seen from the folder of the table, or bring the files.",
        )
    listed = ", ".join(tables.values())
    for name, entry in entries.items():
        if name in placed and chosen is not None and placed[name].label not in chosen:
            unused[name] = NOT_CHOSEN
            del placed[name]
        elif name in placed and not entry.used:
            unused[name] = entry.left_out or entry.unreadable
            del placed[name]
        elif name not in placed:
            rest = THE_LIST if name in tables.values() else NOT_LISTED.format(listed)
            unused[name] = entry.left_out or entry.unreadable or rest
    labels = {each.label for each in placed.values()}
    if len(labels) < 2 or (chosen is not None and not labels.issuperset(chosen)):
        there = ", ".join(in_label_order(labels)[:20]) or "none"
        expected = "pictures of two classes at least" if chosen is None else f"pictures of {', '.join(chosen)}"
        raise BadSource(listed, expected=expected, found=there, way_out="Correct the table, or --classes.")
    return PictureLayout(
        placed=tuple(sorted(placed.values(), key=lambda each: each.part != "train")),
        unused=unused,
        classes=tuple(chosen) if chosen is not None else in_label_order(labels),
    )
