"""
Pack: what people have, in whatever form, becomes the IDX files that everything else takes, and a ledger of every file.

Rows are in code-point order of the files' names, the train part in one pair of files and the test part in another.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.stage import stage
from artifacts.store.files import remove_folder, sha256_of
from artifacts.store.own_folders import OwnFolders
from schemas.counts import counted
from schemas.errors import BadIdx, BadSource, StageError
from schemas.image_spec import ImageSpec
from schemas.parameters import Summary
from schemas.source import FILES, IMAGES, LABELS, Choices, Color, Source, SplitName
from schemas.visible import in_a_line
from tasks.formats.decoding import Batch, decode_all
from tasks.formats.idx import open_idx
from tasks.formats.idx_writer import IdxWriter
from tasks.formats.layout import Placed
from tasks.formats.ledger import Row, read_pictures, write_ledger
from tasks.formats.parts import NOT_THIS, find_parts
from tasks.formats.pictures import OTHER_COLOR
from tasks.formats.refused import Refused
from tasks.formats.survey import picture_layout
from tasks.formats.tree import Tree, left_out, open_tree

MOST_REFUSED = 0.01
"""Share of the pictures that may be refused."""
SHOWN = 3
"""Reasons, and files of each, that a message names."""
BYTE = 256
"""Classes whose labels fit into bytes."""
OTHER_SIZE = "pixels, not "
"""In the reason for a picture of another size."""
log = logging.getLogger("idxflow.pack")


class PackSummary(Summary):
    """
    What became of the files.

    Args:
        files:    all that lie there.
        used:     of them, those with a sample.
        unused:   those without, by reason; with `used` they are all.
        decoded:  pictures that were decoded now; the others were taken from an earlier artifact.
        rows:     samples of each part.
        classes:  samples of each class, by part.
        notes:    what was done to pictures, by how many.
    """

    files: int
    used: int
    unused: dict[str, int]
    decoded: int
    shape: ImageSpec
    rows: dict[SplitName, int]
    classes: dict[SplitName, dict[str, int]]
    notes: dict[str, int]
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """
    Images that lie somewhere, by the SHA-256 of the files that they come from.

    Args:
        images: uint8 (n, rows, columns) or (n, rows, columns, 3), of each part or of those that were decoded now.
        places: which of them, and which row, by digest.
        notes:  what was done to a picture, by digest.
    """

    images: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path | None, how: str) -> Rows:
        """Open an earlier artifact; nothing is taken from one whose pictures became something else."""
        if folder is None or not (folder / FILES).exists():
            return cls()
        ledger = read_pictures(folder / FILES, how)
        if ledger is None:
            return cls()
        found = cls()
        for path in (folder / IMAGES.format(part) for part in ("train", "test")):
            with suppress(OSError, BadIdx):  # a clean-up may take it away meanwhile
                header = open_idx(path).header
                found.images[path.name] = np.memmap(path, np.uint8, "r", header.offset, header.shape)
        for sha256, split, sample, notes in ledger:
            if (name := IMAGES.format(split)) in found.images:
                found.places[sha256] = (name, sample)
                found.notes[sha256] = notes
        return found


SCRATCH = ".unpacked"
"""Hidden while it is there: IDX files out of their archives."""
FRESH = ".decoded"
"""Hidden while it is there: images in the order in which they were decoded."""
BLOCK_BYTES = 2**24
"""Of the images that are copied at once."""


@dataclass(frozen=True)
class Pictures:
    """
    The pictures of a place on their way into IDX files.

    Args:
        placed:  those that names say are used, the train part first.
        known:   SHA-256 of files that look as when they were last hashed, by name; empty of an archive.
        rows:    images that there are already; those that are decoded are added.
        refused: why a picture cannot be used, by name, as that is found out.
        digests: SHA-256 of each picture, by name, likewise.
    """

    source: Source
    placed: Sequence[Placed]
    known: Mapping[str, str]
    rows: Rows
    refused: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def decode(self, tree: Tree, target: Path) -> int:
        """
        Decode into `target` what is not there already.

        Returns: how many images that were.
        Raises:  StageError: a file has changed since its key was made; a process that decodes was ended.
        """
        waiting, decoded = list[str](), 0
        for each in self.placed:
            if (digest := self.known.get(each.name, "")) in self.rows.places:
                self.digests[each.name] = digest
            else:
                waiting.append(each.name)
        with target.open("wb") as file:
            for batch in decode_all(tree, waiting, self.source.picture, os.cpu_count() or 1):
                taken = self._taken(batch, decoded)
                file.write((batch.pixels if len(taken) == len(batch.pixels) else batch.pixels[taken]).data)
                decoded += len(taken)
        if decoded:
            shape = (decoded, *self.source.shape.array)
            self.rows.images[FRESH] = np.memmap(target, np.uint8, "r", 0, shape)
        return decoded

    def _taken(self, batch: Batch, first: int) -> list[int]:
        """Note what became of pictures. Returns: which of the images are new: the first is row `first` of FRESH."""
        taken, at = list[int](), 0
        for name, sha256, result in zip(batch.names, batch.sha256, batch.results, strict=True):
            if self.known and sha256 != self.known.get(name):
                raise _changed(self.source)
            self.digests[name] = digest = sha256 or ""
            if isinstance(result, Refused):
                self.refused[name] = result.reason
                continue
            if digest not in self.rows.places:
                self.rows.places[digest] = (FRESH, first + len(taken))
                self.rows.notes[digest] = "; ".join(result)
                taken.append(at)
            at += 1
        return taken

    @property
    def used(self) -> dict[SplitName, list[Placed]]:
        """The pictures that can be used, by part, in order."""
        used = [each for each in self.placed if each.name not in self.refused]
        return {part: [each for each in used if each.part == part] for part in self.source.splits}

    def write(self, out: Path) -> None:
        """Write the images and labels of each part."""
        index = {name: at for at, name in enumerate(self.source.classes)}
        for part, used in self.used.items():
            with IdxWriter(out / IMAGES.format(part), self.source.shape.array) as images:
                rows = max(1, BLOCK_BYTES // self.source.shape.pixels)
                for start in range(0, len(used), rows):
                    images.add(self._images(used[start : start + rows]))
            with IdxWriter(out / LABELS.format(part), (), "uint8" if len(index) <= BYTE else "int32") as labels:
                labels.add(np.fromiter((index[each.label] for each in used), np.int32, len(used)))

    def _images(self, pictures: Sequence[Placed]) -> npt.NDArray[np.uint8]:
        places = [self.rows.places[self.digests[each.name]] for each in pictures]
        block = np.empty((len(places), *self.source.shape.array), np.uint8)
        rows, left = np.fromiter((row for _, row in places), np.int64, len(places)), len(places)
        for file, images in self.rows.images.items():
            chosen = np.fromiter((name == file for name, _ in places), np.bool_, len(places))
            if chosen.any():
                block[chosen] = images[rows[chosen]]
            left -= int(chosen.sum())
        if left:
            raise RuntimeError(f"{left} images were decoded and lie nowhere")
        return block

    def ledger(self, tree: Tree, unused: Mapping[str, str]) -> list[Row]:
        """Return a row for every file; `unused`: why one is not used, by name."""
        sample = {each.name: at for used in self.used.values() for at, each in enumerate(used)}
        placed = {each.name: each for each in self.placed}
        ledger = list[Row]()
        for entry in tree.entries:
            if (each := placed.get(entry.name)) is None:
                digest = self.known.get(entry.name, "")
                ledger.append(Row(entry.name, entry.bytes, digest, reason=unused[entry.name]))
                continue
            digest, place = self.digests[entry.name], (each.part, each.label)
            if reason := self.refused.get(entry.name):
                ledger.append(Row(entry.name, entry.bytes, digest, *place, reason=reason))
            else:
                notes = self.rows.notes[digest]
                ledger.append(Row(entry.name, entry.bytes, digest, *place, sample[entry.name], 1, "", notes))
        return ledger


def pack_pictures(tree: Tree, source: Source, known: Mapping[str, str], earlier: Path | None, out: Path) -> PackSummary:
    """
    Turn a place of pictures into IDX files and a ledger.

    Args:
        known:   as for `Pictures`.
        earlier: the folder of an artifact from which images are taken that were decoded then.
    Raises: BadSource: too many pictures cannot be used, or they are of several kinds.
    """
    layout = picture_layout(tree, source.tables, source.label, source.chosen)
    how = source.picture.model_dump_json()
    pictures = Pictures(source, layout.placed, known, Rows.of(earlier, how))
    decoded = pictures.decode(tree, out / FRESH)
    lost = {name: reason for name, reason in layout.lost.items() if name not in pictures.refused}
    findings = refuse_many(source, len(layout.placed) + len(lost), {**pictures.refused, **lost})
    refuse_empty(source, pictures)
    pictures.write(out)
    pictures.rows.images.clear()
    (out / FRESH).unlink()
    ledger = pictures.ledger(tree, layout.unused)
    content = write_ledger(out / FILES, ledger, how)
    used = pictures.used
    notes = (note for row in ledger if row.samples for note in row.notes.split("; ") if note)
    return PackSummary(
        content={FILES: content},
        files=len(ledger),
        used=sum(map(len, used.values())),
        unused=dict(Counter(row.reason for row in ledger if not row.samples).most_common()),
        decoded=decoded,
        shape=source.shape,
        rows={part: len(each) for part, each in used.items()},
        classes={part: dict(Counter(one.label for one in each)) for part, each in used.items()},
        notes=dict(Counter(notes).most_common()),
        findings=findings,
    )


def pack_rows(tree: Tree, source: Source, known: Mapping[str, str], out: Path) -> PackSummary:
    """
    Turn a place of rows (a table, arrays, IDX files) into IDX files and a ledger, in the order of the source.

    Args: known: SHA-256 of each file, by name, where that is known.
    """
    size = (source.shape.rows, source.shape.columns) if source.kind != "idx" else None
    color: Color = "gray" if source.shape.channels == 1 else "rgb"
    choices = Choices(size=size, color=color if size else None, label=source.label)
    index = {label: at for at, label in enumerate(source.classes)}
    scratch = out / SCRATCH
    scratch.mkdir()
    found = find_parts(tree, source.kind, choices, scratch)
    counts: dict[SplitName, Counter[str]] = {}
    dropped = Counter[str]()
    for part, rows in found.parts.items():
        counts[part] = Counter()
        dtype = "uint8" if len(index) <= BYTE else "int32"
        with (
            IdxWriter(out / IMAGES.format(part), rows.shape.array) as images,
            IdxWriter(out / LABELS.format(part), (), dtype) as labels,
        ):
            for block, names in rows.blocks():
                there = np.fromiter((index.get(name, -1) for name in names), np.int64, len(names))
                images.add(block[there >= 0])
                labels.add(there[there >= 0])
                counts[part].update(name for name in names if name in index)
                dropped[part] += int((there < 0).sum())
    remove_folder(scratch)
    ledger = list[Row]()
    used = {name: part for part, rows in found.parts.items() for name in rows.files}
    for entry in tree.entries:
        row = Row(entry.name, entry.bytes, known.get(entry.name, ""))
        if of := used.get(entry.name):
            samples = sum(counts[of].values()) if found.parts[of].files[0] == entry.name else 0
            first = 0 if samples else None
            notes = f"{dropped[of]} rows of other classes left out" if samples and dropped[of] else ""
            ledger.append(row._replace(split=of, sample=first, samples=samples, notes=notes))
        else:
            reason = found.unused.get(entry.name) or entry.left_out or entry.unreadable or NOT_THIS
            ledger.append(row._replace(reason=reason))
    content = write_ledger(out / FILES, ledger, "rows")
    return PackSummary(
        content={FILES: content},
        files=len(ledger),
        used=sum(not row.reason for row in ledger),
        unused=dict(Counter(row.reason for row in ledger if row.reason).most_common()),
        decoded=0,
        shape=source.shape,
        rows={part: sum(each.values()) for part, each in counts.items()},
        classes={part: {name: each[name] for name in source.classes} for part, each in counts.items()},
        notes={},
        findings=found.told,
    )


def refuse_many(source: Source, pictures: int, refused: Mapping[str, str]) -> tuple[str, ...]:
    """
    See that at most one in a hundred pictures cannot be used; what is refused is said all the same.

    Args:   refused: the reason, by name.
    Returns: a sentence about them; nothing where there are none.
    Raises: BadSource: more; it says why, by how many and which first.
    """
    if not refused:
        return ()
    reasons: dict[str, list[str]] = {}
    for name, reason in refused.items():
        reasons.setdefault(reason, []).append(name)
    said = [
        f"{len(names):,} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}): {reason}"
        for reason, names in sorted(reasons.items(), key=lambda each: -len(each[1]))
    ]
    told = "; ".join(said[:SHOWN]) + (f"; {len(said) - SHOWN} more reasons" if len(said) > SHOWN else "")
    if len(refused) <= MOST_REFUSED * pictures or source.allow_refused:
        finding = f"{len(refused):,} of {counted(pictures, 'picture', ',')} cannot be used: {told}"
        log.warning("%s: %s", source.name, finding)
        return (finding,)
    ways = list[str]()
    if any(OTHER_SIZE in reason for reason in reasons):
        ways.append(f"Scale all with --size {source.shape.rows}x{source.shape.columns} --fit pad, or --fit stretch")
    if any(OTHER_COLOR in reason for reason in reasons):
        ways.append("Bring all to --color gray or --color rgb")
    way_out = ". ".join(ways or ["Mend or remove them"]) + ". Or go on without them: --allow-refused."
    raise BadSource(
        source.name,
        expected=f"pictures that can be used, all but {100 * MOST_REFUSED:g} % of {pictures:,}",
        found=f"{len(refused):,} that cannot: {told}",
        way_out=way_out,
    )


def refuse_empty(source: Source, pictures: Pictures) -> None:
    """See that each part has a picture that can be used. Raises: BadSource: one has none."""
    for part, used in pictures.used.items():
        if not used:
            reasons = [
                reason for each in pictures.placed if each.part == part and (reason := pictures.refused[each.name])
            ]
            raise BadSource(
                f"{source.name} {part}",
                expected="a picture at least that can be used",
                found=f"none of {len(reasons):,}: {reasons[0]}" if reasons else "none",
                way_out="Bring other pictures.",
            )


def _changed(source: Source) -> StageError:
    return StageError(
        source.name,
        expected="files that stay as they are while they are read",
        found="one that has changed since the run began",
        way_out="Run again when nobody writes there any more.",
    )


@stage(name="{source.name}", imports="pandas", packages=("pillow",))  # pyarrow imports it for an array
def pack(source: Source, out: Path, own: OwnFolders, earlier: Callable[[], Path | None]) -> PackSummary:
    """Turn what lies at a place into IDX files, and say of every file which sample it is, or why it is none."""
    path = Path(source.path)
    listing = (own.noted(path) or own.listing(path, left_out)) if path.is_dir() else None
    if (listing.content if listing else sha256_of(path)) != source.content:
        raise _changed(source)
    known: dict[str, str] = {}
    if listing:
        digits, read = listing.digests.tobytes().hex(), np.asarray(listing.digests).max(axis=1, initial=0) > 0
        known = {
            name if name.isascii() and name.isprintable() else in_a_line(name): digits[64 * at : 64 * at + 64]
            for at, name in enumerate(listing.names)
            if read[at]
        }
    look = None if listing else path.stat()
    with open_tree(path, listing.scan if listing else None) as tree:
        if source.kind == "pictures":
            summary = pack_pictures(tree, source, known, earlier(), out)
        else:
            summary = pack_rows(tree, source, known, out)
    # What was read is what the key was made of: nothing has come, gone or changed since.
    if (look != path.stat()) if look else (own.listing(path, left_out).content != source.content):
        raise _changed(source)
    return summary
