"""What is in a compressed file, block by block at constant memory: gzip and xz, checked to the last byte."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Generator, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from schemas.counts import counted
from schemas.errors import BadGzip

# Small enough for malloc to reuse: blocks of 128 KiB and more are mapped, and faulted in, one by one (58 -> 88 ms).
CHUNK = 2**15
BLOCK = 2**16
XZ_MEMORY = 96 * 2**20
"""Bytes that an xz decoder may take: `xz -9` wants 65 MiB of it, and a file may ask for 4 GiB."""
MAGIC, XZ_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\0"
HEADER_CRC, EXTRA, NAME, COMMENT, RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
DAMAGED = "The file is damaged: get a sound copy of it."
CUT = "The file is cut short: get the whole one."
GARBAGE = "Something was appended to it: get a sound copy of it."


def inflate_library() -> ModuleType:
    """Return isal's twin of zlib, which inflates about twice as fast, or zlib where isal is not installed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def inflate(path: Path, library: ModuleType, name: str) -> Iterator[bytes]:
    """
    Inflate every member of a gzip file (RFC 1952), checking each one's CRC-32 and length.

    Args:   library: `zlib` or a module with its `decompressobj`, `crc32` and `error`.  name: for messages.
    Yields: blocks of at most 64 KiB, whatever the compression ratio.
    Raises: BadGzip: empty, not gzip, damaged, truncated, or followed by anything but another member or zeros, with
            which tapes and some file systems fill their last block.
    """
    if not path.stat().st_size:
        raise _bad(name, "a gzip file", "an empty file (0 bytes)", CUT)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = 0
        while at < len(data) and not (at and _is_padding(data, at)):
            at = yield from _member(data, at, name, library)


def _is_padding(data: mmap, start: int) -> bool:
    """Return whether nothing but zeros follows. Looks at no more than one block beyond the first other byte."""
    return not any(data[at : at + BLOCK].strip(b"\0") for at in range(start, len(data), BLOCK))


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
        found = f"CRC-32 {crc:08x} and {counted(length, 'byte')}"
        raise _bad(name, f"CRC-32 {expected_crc:08x} and {counted(expected_length, 'byte')} modulo 2^32", found)
    return at + 8


def _skip_header(data: mmap, start: int, name: str) -> int:
    """
    Check a member's header. Returns: where its deflated data begins.

    Read here because isal's reader lets reserved flags pass, and stumbles over a header cut by a chunk's end.
    """
    if (magic := data[start : start + 2]) != MAGIC[: len(magic)]:
        if start:
            more = f"{counted(len(data) - start, 'byte')} more"
            raise _bad(name, f"the end of the file, or another member, at byte {start}", more, GARBAGE)
        raise _bad(name, "a gzip file (1f 8b)", f"{counted(len(data), 'byte')} that begin {magic.hex(' ')}")
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


def unxz(path: Path, name: str) -> Iterator[bytes]:
    """
    Decompress every stream of an xz file (the .xz file format, 1.2.1), checking each block's integrity check.

    Args:   name: for messages.
    Yields: blocks of at most 64 KiB, whatever the compression ratio.
    Raises: BadGzip: empty, not xz, damaged, truncated, without an integrity check, followed by anything but another
            stream or padding, or such that a decoder of it takes more than XZ_MEMORY.
    """
    with path.open("rb") as file:
        rest = file.read(CHUNK)
        while True:
            rest = yield from _stream(file, rest, name)
            rest = _skip_padding(file, rest, name)
            if not rest:
                return


def _stream(file: BinaryIO, piece: bytes, name: str) -> Generator[bytes, None, bytes]:
    """Decompress the stream that begins with `piece`. Returns: what was read beyond it."""
    import lzma  # not in every Python: it is left out where the library was missing

    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    while not decoder.eof:
        try:
            block = decoder.decompress(piece, BLOCK)
        except lzma.LZMAError as error:
            if "Memory" in str(error):
                wanted = f"one that a decoder can read in {XZ_MEMORY // 2**20} MiB"
                raise _bad(name, f"an xz file, {wanted}", "one that wants more", "Compress it with `xz -9`.") from error
            raise _bad(name, "xz data", f"damage before byte {file.tell()} ({error})", DAMAGED) from error
        if decoder.check != lzma.CHECK_UNKNOWN and (
            decoder.check == lzma.CHECK_NONE or not lzma.is_check_supported(decoder.check)
        ):
            way_out = "Compress it with `xz --check=crc64`."
            raise _bad(name, "an xz file with an integrity check", f"none (its id is {decoder.check})", way_out)
        if block:
            yield block
        piece = b""
        if decoder.needs_input and not (piece := file.read(CHUNK)):
            raise _bad(
                name, "a whole xz stream", f"the end of the file after {counted(file.tell(), 'byte')}, in one", CUT
            )
    return decoder.unused_data


def _skip_padding(file: BinaryIO, rest: bytes, name: str) -> bytes:
    """Skip zeros in fours after a stream. Returns: where the next one begins; nothing at the end of the file."""
    start, padding = file.tell() - len(rest), 0
    while (rest := rest or file.read(CHUNK)) and not rest.strip(b"\0"):
        padding, rest = padding + len(rest), b""
    kept = rest.lstrip(b"\0")
    padding += len(rest) - len(kept)
    kept += file.read(len(XZ_MAGIC) - len(kept)) if kept and len(kept) < len(XZ_MAGIC) else b""
    if padding % 4 or (kept and not kept.startswith(XZ_MAGIC)):
        more = f"{counted(file.seek(0, os.SEEK_END) - start, 'byte')} more"
        raise _bad(name, f"the end of the file, or another stream, at byte {start}", more, GARBAGE)
    return kept


def _truncated(name: str, data: mmap) -> BadGzip:
    return _bad(
        name,
        "a whole gzip member",
        f"the end of the file after {counted(len(data), 'byte')}, in the middle of one",
        CUT,
    )


def _bad(name: str, expected: str, found: str, way_out: str = DAMAGED) -> BadGzip:
    return BadGzip(name, expected=expected, found=found, way_out=way_out)
