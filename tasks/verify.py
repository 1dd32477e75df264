"""Verify: prove from the disk that a downloaded `.gz` is the expected one."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Literal

from artifacts.ref import Ref
from artifacts.stage import stage
from artifacts.trust import Expected, Trust
from schemas.datasets import RemoteFile
from schemas.errors import ChecksumMismatch
from schemas.proof import SMALLEST, Proof
from schemas.summary import Summary

MAGIC = b"\x1f\x8b"


class VerifySummary(Summary):
    """What was proved, and where the expected values came from."""

    bytes: int
    sha256: str
    origin: Literal["published", "first use"]


def prove(file: RemoteFile, archive: Path, trust: Trust) -> Proof:
    """
    Hash the archive, read its gzip trailer, and hold size and SHA-256 against the expected ones.

    A file without a published SHA-256 is trusted on its first use, and that use is written down in `trust`.

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
    expected = trust.remember(file, sha256, size)
    if sha256 != expected.sha256:
        origin = "" if expected.origin == "published" else " as on its first use"
        raise _mismatch(file, f"SHA-256 {expected.sha256}{origin}", sha256, expected)
    return Proof(
        name=file.name,
        bytes=size,
        sha256=sha256,
        crc32=f"{crc32:08x}",
        raw_size_mod_2_32=raw_size,
        origin=expected.origin,
        expected_bytes=expected.bytes,
        expected_sha256=sha256,
    )


def _mismatch(file: RemoteFile, expected: str, found: str, known: Expected | None = None) -> ChecksumMismatch:
    way_out = "Run again with `--refresh download`, or bring another file with --mirror."
    if known is not None and known.origin == "first use":
        way_out += f" {Trust.way_out(file)}"
    return ChecksumMismatch(file.name, expected=expected, found=found, way_out=way_out)


@stage("verify", name="{file.name}")
def verify(file: RemoteFile, archive: Ref, trust: Trust, out: Path) -> VerifySummary:
    """Prove that the stored archive is the expected one."""
    proof = prove(file, archive.file(), trust)
    (out / "proof.json").write_text(proof.model_dump_json(indent=2) + "\n")
    return VerifySummary(bytes=proof.bytes, sha256=proof.sha256, origin=proof.origin)
