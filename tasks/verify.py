"""Verify: prove from the disk that a downloaded file is the expected one."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.counts import counted
from schemas.datasets import PROOF, SMALLEST, Origin, Proof, RemoteFile
from schemas.errors import ChecksumMismatch
from schemas.parameters import Summary
from tasks.formats.kinds import GZIP, HEAD_BYTES, TAKEN, kind_of

SMALLEST_GZIP = 18
"""Bytes of a gzip header and trailer (RFC 1952)."""
STORED_MORE = 1.001, 400
"""Deflate makes data at most so many times as long, and header and trailer add about so many bytes."""
AGAIN = "The stored copy is not what was downloaded: run again with `--refresh download`."
SAID_BY: dict[Origin, str] = {"published": "", "own file": " as it was hashed", "first use": " as on its first use"}


class VerifySummary(Summary):
    """What was proved, and where the expected values came from."""

    bytes: int
    sha256: str
    origin: Origin


def prove(file: RemoteFile, stored: Path, sha256: str) -> Proof:
    """
    Compare size and SHA-256 of the stored file with the expected ones, and read its gzip trailer if it has one.

    Args:   sha256: of its bytes on the disk.
    Raises: ChecksumMismatch: it is not the expected one, or of no kind that is taken.
    """
    with stored.open("rb") as data:
        size = os.fstat(data.fileno()).st_size
        kind = kind_of(data.read(HEAD_BYTES), size)
        crc32, raw_size = _trailer(data, size) if kind is GZIP and size >= SMALLEST_GZIP else (None, None)
    if file.bytes not in (None, size):
        raise _mismatch(file, counted(file.bytes, "byte"), f"{size}")
    if sha256 != file.sha256:
        raise _mismatch(file, f"SHA-256 {file.sha256}{SAID_BY[file.origin]}", sha256)
    if not kind.taken or size < (SMALLEST_GZIP if kind is GZIP else SMALLEST):
        way_out = "It is cut short: get the whole file." if kind.taken else kind.next_step
        raise ChecksumMismatch(file.name, expected=TAKEN, found=kind.found(counted(size, "byte")), way_out=way_out)
    return Proof(
        name=file.name,
        bytes=size,
        sha256=sha256,
        crc32=crc32,
        raw_size_mod_2_32=raw_size,
        origin=file.origin,
        expected_bytes=file.bytes,
        expected_sha256=sha256,
    )


def _trailer(data: BinaryIO, size: int) -> tuple[str, int] | tuple[None, None]:
    """Read CRC-32 and ISIZE, unless the data cannot be so short: then zeros follow, or there are more members."""
    data.seek(-8, os.SEEK_END)
    crc32, raw_size = struct.unpack("<II", data.read(8))
    times, more = STORED_MORE
    if not raw_size or size > raw_size * times + more:
        return None, None
    return f"{crc32:08x}", raw_size


def _mismatch(file: RemoteFile, expected: str, found: str) -> ChecksumMismatch:
    return ChecksumMismatch(file.name, expected=expected, found=found, way_out=AGAIN)


@stage(name="{file.name}")
def verify(file: RemoteFile, stored: Ref, out: Path) -> VerifySummary:
    """Prove that the stored file is the expected one: by its bytes, which the store reads before a stage takes it."""
    proof = prove(file, stored.file(), stored.sha256())
    (out / PROOF).write_text(proof.model_dump_json(indent=2) + "\n")
    return VerifySummary(bytes=proof.bytes, sha256=proof.sha256, origin=proof.origin)
