"""Decompress: a verified file (`.gz`, `.xz` or raw) becomes the raw IDX file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

from artifacts.ref import RESERVED, Ref
from artifacts.stage import stage
from schemas.counts import counted
from schemas.datasets import RemoteFile
from schemas.errors import BadIdx
from schemas.parameters import Summary
from tasks.formats.idx import MAX_HEADER_BYTES, Header, disagreement, little_endian_header, read_header, wrong_size
from tasks.formats.inflate import BLOCK, inflate, inflate_library, unxz
from tasks.formats.kinds import (
    EMPTY,
    GZIP,
    HEAD_BYTES,
    IDX,
    LITTLE_ENDIAN,
    NOTHING,
    TAKEN,
    XZ,
    Kind,
    kind_of,
    kind_of_file,
)

COUNTED_TIMES, COUNTED_LEAST, COUNTED_MOST = 8, 64 * 2**20, 2**30
"""How far the bytes of a file are counted that are more than its header promises, so that a message can say how many:
to so many times the promise or to so many bytes, whichever is more, but never by more than the last beyond it."""
log = logging.getLogger("idxflow.decompress")


class DecompressSummary(Summary):
    """What the raw file is, and what is unusual about it."""

    raw_bytes: int
    dtype: str
    shape: tuple[int, ...]
    findings: tuple[str, ...] = ()


def extract(stored: Path, target: Path, raw_bytes: int | None, name: str) -> Header:
    """
    Bring the IDX file that `stored` is, or holds, to `target`, at constant memory.

    Args:    raw_bytes: the published size, which the header then has to promise too.  name: for messages.
    Returns: the IDX header.
    Raises:  BadGzip: a compressed file that is damaged or cut short.
             BadIdx: something else, named; or an IDX file whose body is longer or shorter than its header promises.
    """
    kind, size = kind_of_file(stored)
    if kind is GZIP:
        return gunzip(stored, target, raw_bytes, inflate_library(), name)
    if kind is XZ:
        return _save(unxz(stored, name), name, target, raw_bytes)
    if kind is not IDX:
        raise BadIdx(name, expected=TAKEN, found=kind.found(counted(size, "byte")), way_out=kind.next_step)
    with stored.open("rb") as file:
        try:
            header = read_header(file.read(MAX_HEADER_BYTES), name)
        except BadIdx as error:
            raise _broken(error, counted(size, "byte")) from error
        if size != header.size:
            raise wrong_size(name, header, size - header.offset)
        file.seek(0)
        return _save(iter(lambda: file.read(BLOCK), b""), name, target, raw_bytes)


def gunzip(stored: Path, target: Path, raw_bytes: int | None, library: ModuleType, name: str) -> Header:
    """Decompress a `.gz` of one IDX file; see `extract`, and `inflate` for `library`."""
    return _save(inflate(stored, library, name), name, target, raw_bytes)


def _save(blocks: Iterator[bytes], name: str, target: Path, raw_bytes: int | None) -> Header:
    """
    Write an IDX file that arrives in blocks.

    The IDX header is read from the first of them, and says how large the file is to be. More than that is never
    written, so that a bomb ends early.
    """
    head = _first(blocks, b"", MAX_HEADER_BYTES)
    try:
        header = read_header(head, name)
    except BadIdx as error:
        raise _no_idx(error, head, blocks, name) from error
    if raw_bytes not in (None, header.size):
        expected, found = f"{raw_bytes} bytes inside, as published", f"{header}: {header.size} bytes"
        raise BadIdx(name, expected=expected, found=found, way_out="Correct raw_bytes, or replace the file.")
    written = 0
    with target.open("wb") as file:
        for block in chain([head], blocks):
            written += len(block)
            if written > header.size:
                break
            file.write(block)
    if written != header.size:
        most = min(max(COUNTED_TIMES * header.size, COUNTED_LEAST), header.size + COUNTED_MOST)
        raise _misfit(name, header, head, *_count(blocks, written, most))
    return header


def _first(blocks: Iterator[bytes], head: bytes, least: int) -> bytes:
    """Return the first bytes, at least so many where there are as many."""
    while len(head) < least and (block := next(blocks, None)) is not None:
        head += block
    return head


def _count(blocks: Iterator[bytes], read: int, most: int) -> tuple[int, bool]:
    """Count on. Returns: the bytes in all, at most `most`; whether there are more than these."""
    for block in blocks:
        read += len(block)
        if read > most:
            return most, True
    return read, False


def _misfit(name: str, header: Header, head: bytes, size: int, more: bool) -> BadIdx:
    """Say what a file is whose size is not what its header promises."""
    if not more and kind_of(head, size) is LITTLE_ENDIAN:
        return _inside(name, LITTLE_ENDIAN, size, more)
    return wrong_size(name, header, size - header.offset, more=more)


def _no_idx(error: BadIdx, head: bytes, blocks: Iterator[bytes], name: str) -> BadIdx:
    """Say what is inside of a compressed file where no IDX header is."""
    head = _first(blocks, head, HEAD_BYTES)
    swapped = little_endian_header(head)
    most = max(COUNTED_LEAST, min(swapped.size, COUNTED_MOST) if swapped else 0)
    size, more = _count(blocks, len(head), most)
    kind = kind_of(head, None if more else size)
    if kind is IDX:  # with a header that breaks off, or promises what no file has
        return _broken(error, _length(size, more))
    return _inside(name, NOTHING if kind is EMPTY else kind, size, more)


def _broken(error: BadIdx, length: str) -> BadIdx:
    """Add the length to what is said of a header that breaks off, or promises what no file has."""
    found = f"{error.found}; the file has {length}"
    return BadIdx(error.subject, expected=error.expected, found=found, way_out=error.way_out)


def _inside(name: str, kind: Kind, size: int, more: bool) -> BadIdx:
    return BadIdx(name, expected="an IDX file inside", found=kind.found(_length(size, more)), way_out=kind.next_step)


def _length(size: int, more: bool) -> str:
    return f"{'more than ' if more else ''}{counted(size, 'byte')}"


def raw_name(file_name: str) -> str:
    """Return what the raw file is called: without `.gz` or `.xz`, and never as a file that the store keeps itself."""
    name = re.sub(r"(?<=.)\.[gx]z$", "", file_name, flags=re.IGNORECASE)
    return f"{name}.idx" if name in RESERVED else name


@stage(name="{file.name}")
def decompress(file: RemoteFile, stored: Ref, proof: Ref, out: Path) -> DecompressSummary:  # noqa: ARG001 - proof first
    """Bring out a verified IDX file; its proof is an input, so that nothing unverified is ever decompressed."""
    target = out / raw_name(file.file_name)
    header = extract(stored.file(), target, file.raw_bytes, file.name)
    finding = disagreement(target.name, header)
    if finding:
        log.warning("%s: %s.", file.name, finding)
    return DecompressSummary(
        raw_bytes=header.size, dtype=header.dtype.name, shape=header.shape, findings=(finding,) if finding else ()
    )
