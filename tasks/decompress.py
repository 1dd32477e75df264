"""Decompress: a verified `.gz` becomes the raw IDX file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator
from itertools import chain
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import ModuleType

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.datasets import RemoteFile
from schemas.errors import BadGzip, BadIdx
from schemas.summary import Summary
from tasks.idx import MAX_HEADER_BYTES, Header, read_header

# Small enough for malloc to reuse: blocks of 128 KiB and more are mapped, and faulted in, one by one (58 -> 88 ms).
CHUNK = 2**15
BLOCK = 2**16
MAGIC = b"\x1f\x8b"
HEADER_CRC, EXTRA, NAME, COMMENT, RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0


class DecompressSummary(Summary):
    """What the raw file is."""

    raw_bytes: int
    dtype: str
    shape: tuple[int, ...]


def inflate_library() -> ModuleType:
    """Return isal's twin of zlib, which inflates about twice as fast, or zlib where isal is not installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def inflate(archive: Path, library: ModuleType) -> Iterator[bytes]:
    """
    Inflate every member of a gzip file (RFC 1952), checking each one's CRC-32 and length.

    Args:   library: `zlib` or a module with its `decompressobj`, `crc32` and `error`.
    Yields: blocks of at most 64 KiB, whatever the compression ratio.
    Raises: BadGzip: empty, not gzip, damaged, truncated, or followed by anything but another member.
    """
    if not archive.stat().st_size:
        raise _bad(archive.name, "a gzip file", "an empty file")
    with archive.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = 0
        while at < len(data):
            at = yield from _member(data, at, archive.name, library)


def _member(data: mmap, at: int, name: str, library: ModuleType) -> Generator[bytes, None, int]:
    """Inflate the member that begins at byte `at`. Returns: where it ends."""
    at = _skip_header(data, at, name)
    inflater, crc, length = library.decompressobj(-zlib.MAX_WBITS), 0, 0
    while not inflater.eof:
        piece = data[at : at + CHUNK]
        try:
            block = inflater.decompress(piece, BLOCK)
        except library.error as error:
            raise _bad(name, "deflated data", f"damage near byte {at} ({error})") from error
        # At the end zlib shows what is left in both places, isal in one.
        at += len(piece) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
        if not (piece or block or inflater.eof):
            raise _truncated(name, data)
        crc, length = library.crc32(block, crc), length + len(block)
        yield block
    if at + 8 > len(data):
        raise _truncated(name, data)
    expected_crc, expected_length = struct.unpack_from("<II", data, at)
    if (crc, length % 2**32) != (expected_crc, expected_length):
        found = f"CRC-32 {crc:08x} and {length} bytes"
        raise _bad(name, f"CRC-32 {expected_crc:08x} and {expected_length} bytes modulo 2^32", found)
    return at + 8


def _skip_header(data: mmap, start: int, name: str) -> int:
    """
    Check a member's header. Returns: where its deflated data begins.

    Read here because isal's reader lets reserved flags pass, and stumbles over a header cut by a chunk's end.
    """
    if (magic := data[start : start + 2]) != MAGIC[: len(magic)]:
        if start:
            raise _bad(
                name, f"the end of the file, or another member, at byte {start}", f"{len(data) - start} bytes more"
            )
        raise _bad(name, "a gzip file (1f 8b)", _kind(data[:64]))
    at = start + 10
    if at > len(data):
        raise _truncated(name, data)
    method, flags = data[start + 2], data[start + 3]
    if method != 8 or flags & RESERVED:
        raise _bad(name, "method 08 and known flags", f"method {method:02x}, flags {flags:02x} at byte {start + 2}")
    if flags & EXTRA:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for _ in range(bool(flags & NAME) + bool(flags & COMMENT)):
        at = data.find(b"\0", at) + 1 or len(data) + 1
    if flags & HEADER_CRC:
        crc, at = zlib.crc32(data[start:at]) & 0xFFFF, at + 2
        if at <= len(data) and crc != int.from_bytes(data[at - 2 : at], "little"):
            raise _bad(name, f"header CRC-16 {data[at - 2 : at][::-1].hex()}", f"{crc:04x}")
    if at > len(data):
        raise _truncated(name, data)
    return at


def _kind(head: bytes) -> str:
    """Name what a file is that ought to be gzip, from its first bytes."""
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "an HTML page"
    if head.startswith(b"\0\0"):
        return f"{head[:4].hex(' ')}: perhaps an IDX file, decompressed already"
    return head[:4].hex(" ")


def _truncated(name: str, data: mmap) -> BadGzip:
    return _bad(name, "a whole gzip member", f"the end of the file after {len(data)} bytes, in the middle of one")


def _bad(name: str, expected: str, found: str) -> BadGzip:
    way_out = "Run again with `--refresh download`, or bring another file with --mirror."
    return BadGzip(name, expected=expected, found=found, way_out=way_out)


def gunzip(archive: Path, target: Path, raw_bytes: int | None, library: ModuleType) -> Header:
    """
    Decompress a `.gz` of one IDX file, at constant memory.

    The IDX header is read from the first inflated bytes, and says how large the file is to be. More than that is
    never written, so that a bomb ends early.

    Args:    raw_bytes: the published size, which the header then has to promise too.
    Returns: the IDX header.
    Raises:  BadGzip: as `inflate`; no IDX header inside; or more or fewer bytes than it promises.
    """
    blocks, head = inflate(archive, library), b""
    while len(head) < MAX_HEADER_BYTES and (block := next(blocks, None)) is not None:
        head += block
    try:
        header = read_header(head, archive.name)
    except BadIdx as error:
        raise _bad(error.subject, f"an IDX file inside: {error.expected}", error.found) from error
    if raw_bytes not in (None, header.size):
        raise _bad(archive.name, f"{raw_bytes} bytes inside, as published", f"{header}: {header.size} bytes")
    written, promised = 0, f"{header}, as its IDX header says: {header.size} bytes"
    with target.open("wb") as file:
        for block in chain([head], blocks):
            written += len(block)
            if written > header.size:
                raise _bad(archive.name, promised, f"more than {header.size}")
            file.write(block)
    if written < header.size:
        raise _bad(archive.name, promised, f"{written}")
    return header


@stage("decompress", name="{file.name}")
def decompress(file: RemoteFile, archive: Ref, proof: Ref, out: Path) -> DecompressSummary:  # noqa: ARG001 - proof first
    """Inflate a verified archive; its proof is an input, so that nothing unverified is ever decompressed."""
    header = gunzip(archive.file(), out / file.file_name.removesuffix(".gz"), file.raw_bytes, inflate_library())
    return DecompressSummary(raw_bytes=header.size, dtype=header.dtype.name, shape=header.shape)
