"""How the files of a place are meant: which are used, in which part and of which class, and why others are not."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from schemas.counts import counted
from schemas.errors import BadSource
from tasks.formats.tree import Entry

Part = Literal["train", "test"]
PICTURES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm .pfm".split()  # noqa: SIM905 - as one reads it
)
OTHER_PICTURES = frozenset(
    ".heic .heif .avif .jxl .jp2 .j2k .dng .nef .cr2 .cr3 .arw .orf .raf .svg .psd .ico .dcm .exr .hdr".split()  # noqa: SIM905
)
"""Endings of pictures that are not read: each is named for what it is, and counted as one that cannot be used."""
TABLES, ARRAYS = frozenset({".csv", ".tsv"}), frozenset({".npz"})
PACKED = frozenset({".gz", ".xz"})
TRAIN = frozenset({"train", "training"})
TEST = frozenset({"test", "testing"})
VALIDATION = frozenset({"val", "valid", "validation"})
NO_PICTURE = "no picture, by its ending"
NO_CLASS = "it lies in no class folder"
NOT_CHOSEN = "its class is not among those that were chosen"
OTHER_PART = "{} is not used where there is a test folder"
BESIDE = "it lies beside the folders of train and test"


class Placed(NamedTuple):
    """A file that is used: `name` in the tree, its part of the set, and its class."""

    name: str
    part: Part
    label: str


@dataclass(frozen=True)
class PictureLayout:
    """
    What the names of pictures say.

    Args:
        placed:   what is used, in the order of names, the train part first.
        unused:   the reason for every other file, by name.
        classes:  in label order: as numbers where all are numbers, else by code points.
        empty:    classes with a folder and without a picture in it.
        unread:   those among the unused that cannot be read: links, devices, folders without the right to list them.
    """

    placed: tuple[Placed, ...]
    unused: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()

    @property
    def lost(self) -> dict[str, str]:
        """Pictures that are not used though a person may think so, and folders that cannot be listed, by the reason."""
        return {
            name: reason
            for name, reason in self.unused.items()
            if name in self.unread or (reason in {NO_CLASS, BESIDE} and suffix_of(name))
        }

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the set that have pictures."""
        there = {each.part for each in self.placed}
        return tuple(part for part in ("train", "test") if part in there)

    def counts(self) -> dict[Part, dict[str, int]]:
        """Count the pictures of each class, by part."""
        found = {part: dict.fromkeys(self.classes, 0) for part in self.parts}
        for each in self.placed:
            found[each.part][each.label] += 1
        return found


def suffix_of(name: str) -> str:
    """Return the ending of a name in small letters; that of what is compressed for `a.csv.gz`."""
    before, dot, suffix = name.rpartition(".")
    if before and before[-1] != "/" and (found := f".{suffix.lower()}") in PICTURES:  # nearly always
        return found
    last = name.rpartition("/")[2].lower()
    stem, dot, suffix = last.rpartition(".")
    if dot and f".{suffix}" in PACKED:
        last, suffix = stem, stem.rpartition(".")[2] if "." in stem else ""
        return f".{suffix}" if suffix else ""
    return f".{suffix}" if dot and stem else ""


def is_picture(name: str) -> bool:
    """Tell whether a name may be a picture's: by its ending, or because it has none."""
    return suffix_of(name) in PICTURES | OTHER_PICTURES or "." not in name.rpartition("/")[2]


def in_label_order(names: Iterable[str]) -> tuple[str, ...]:
    """Put class names in order: as whole numbers where all are, else by code points."""
    distinct = set(names)
    if all(name.lstrip("-").isdecimal() and name.isascii() for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def lay_out(entries: Sequence[Entry], name: str, empty: Sequence[str], chosen: Sequence[str] | None) -> PictureLayout:
    """
    Read classes and parts from the folders' names: `CLASS/...`, or `train/CLASS/...` and `test/CLASS/...`.

    Where everything lies in one folder, as in an archive of a folder, that one is passed over.

    Args:   name: of the place, for messages.  empty: folders without a file.  chosen: classes, in label order.
    Raises: BadSource: fewer than two classes, or one of the chosen is not there.
    """
    unused = {entry.name: entry.left_out or entry.unreadable for entry in entries if not entry.used}
    pictures = list[str]()
    for entry in entries:
        if entry.used and is_picture(entry.name):
            pictures.append(entry.name)
        elif entry.used:
            unused[entry.name] = NO_PICTURE
    folders = {each: each.rpartition("/")[0] for each in pictures}
    depth = _depth(set(folders.values()))
    parts = _parts({each.split("/")[depth] for each in set(folders.values()) if each.count("/") > depth})
    meant = {each: _meant(each.split("/")[depth:] if each else [], parts, chosen) for each in set(folders.values())}
    placed = list[Placed]()
    for each, folder in folders.items():
        place = meant[folder]
        if isinstance(place, str):
            unused[each] = place
        else:
            placed.append(Placed(each, *place))
    found = {each.label for each in placed}
    _refuse_few(name, found, chosen)
    level = 1 if parts else 0
    bare = {levels[level] for each in empty if len(levels := each.split("/")[depth:]) == level + 1}
    return PictureLayout(
        placed=tuple(sorted(placed, key=lambda each: each.part != "train")),
        unused=unused,
        classes=tuple(chosen) if chosen is not None else in_label_order(found),
        empty=tuple(sorted(bare - found)),
        unread=frozenset(entry.name for entry in entries if entry.unreadable and not entry.left_out),
    )


def _meant(levels: Sequence[str], parts: dict[str, Part], chosen: Sequence[str] | None) -> tuple[Part, str] | str:
    """Return the part and the class of what lies in a folder, or why it is not used. Args: levels: of the folder."""
    if parts and (not levels or levels[0] not in parts):
        return OTHER_PART.format(f"{levels[0]}/") if levels and _is_part(levels[0]) else BESIDE
    if len(levels) < (2 if parts else 1):
        return NO_CLASS
    label = unicodedata.normalize("NFC", levels[1] if parts else levels[0])  # macOS takes accents apart
    if chosen is not None and label not in chosen:
        return NOT_CHOSEN
    return parts[levels[0]] if parts else "train", label


def _depth(folders: set[str]) -> int:
    """Return how many folders all files lie in, one in the other, before there is a choice of folder, or a file."""
    depth = 0
    while folders and all(each.count("/") > depth for each in folders):
        if len({each.split("/")[depth] for each in folders}) > 1:
            break
        depth += 1
    return depth


def _is_part(folder: str) -> bool:
    return folder.lower() in TRAIN | TEST | VALIDATION


def _parts(folders: set[str]) -> dict[str, Part]:
    """Return the folders that are parts of the set; none where there is no train folder beside a test folder."""
    train = sorted(each for each in folders if each.lower() in TRAIN)
    test = sorted(each for each in folders if each.lower() in TEST)
    held = sorted(each for each in folders if each.lower() in VALIDATION)
    if not train or not (test or held):
        return {}
    return {**dict.fromkeys(train, "train"), **dict.fromkeys(test or held, "test")}


def _refuse_few(name: str, found: set[str], chosen: Sequence[str] | None) -> None:
    if chosen is not None and (missing := [each for each in chosen if each not in found]):
        raise BadSource(
            name,
            expected=f"pictures of {counted(len(chosen), 'class')}, as chosen",
            found=f"none of {', '.join(missing[:3])}",
            way_out="Correct --classes: `idxflow describe` lists the classes that there are.",
        )
    if len(found) < 2:
        raise BadSource(
            name,
            expected="two class folders at least with pictures in them, as oak/1.jpg and elm/2.jpg",
            found=f"one, {next(iter(found))}" if found else "none",
            way_out="Put the pictures of each class into a folder of its own; `idxflow describe` says what is there.",
        )
