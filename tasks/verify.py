"""Verify: prove from the disk that a downloaded `.gz` is the expected one."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.datasets import Origin, RemoteFile
from schemas.errors import ChecksumMismatch
from schemas.proof import SMALLEST, Proof
from schemas.summary import Summary

MAGIC = b"\x1f\x8b"
SAID_BY: dict[Origin, str] = {"published": "", "own file": " as it was hashed", "first use": " as on its first use"}


class VerifySummary(Summary):
    """What was proved, and where the expected values came from."""

    bytes: int
    sha256: str
    origin: Origin


def prove(file: RemoteFile, archive: Path) -> Proof:
    """
    Hash the archive, read its gzip trailer, and compare size and SHA-256 with the expected ones.

    Raises: ChecksumMismatch: it is no gzip file, or not the expected one.
    """
    with archive.open("rb") as data:
        head = data.read(len(MAGIC))
        size = data.seek(0, os.SEEK_END)
        if head != MAGIC or size < SMALLEST:
            raise _mismatch(file, "a gzip file (1f 8b)", f"{size} bytes that begin with {head.hex(' ') or 'nothing'}")
        data.seek(-8, os.SEEK_END)
        crc32, raw_size = struct.unpack("<II", data.read(8))
        data.seek(0)
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    if file.bytes not in (None, size):
        raise _mismatch(file, f"{file.bytes} bytes", f"{size}")
    if sha256 != file.sha256:
        raise _mismatch(file, f"SHA-256 {file.sha256}{SAID_BY[file.origin]}", sha256)
    return Proof(
        name=file.name,
        bytes=size,
        sha256=sha256,
        crc32=f"{crc32:08x}",
        raw_size_mod_2_32=raw_size,
        origin=file.origin,
        expected_bytes=file.bytes,
        expected_sha256=sha256,
    )


def _mismatch(file: RemoteFile, expected: str, found: str) -> ChecksumMismatch:
    way_out = "Run again with `--refresh download`, or bring another file with --mirror."
    return ChecksumMismatch(file.name, expected=expected, found=found, way_out=way_out)


@stage("verify", name="{file.name}")
def verify(file: RemoteFile, archive: Ref, out: Path) -> VerifySummary:
    """Prove that the stored archive is the expected one."""
    proof = prove(file, archive.file())
    (out / "proof.json").write_text(proof.model_dump_json(indent=2) + "\n")
    return VerifySummary(bytes=proof.bytes, sha256=proof.sha256, origin=proof.origin)
