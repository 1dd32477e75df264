"""tasks/verify.py: the proof of an archive, read from the disk."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.datasets import Proof, RemoteFile
from schemas.errors import ChecksumMismatch
from tasks.verify import VerifySummary, prove, verify
from tests.tasks.refs import bind

NAME = "x-idx1-ubyte.gz"
RAW = bytes(range(256)) * 5
BODY = gzip.compress(RAW, mtime=0)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A downloaded archive, alone in its artifact's folder."""
    path = tmp_path / "artifact" / NAME
    path.parent.mkdir()
    path.write_bytes(BODY)
    return path


def published(size: int | None = len(BODY), **facts: Any) -> RemoteFile:
    """The catalog's entry of the archive."""
    return RemoteFile.model_validate({"name": NAME, "bytes": size, "sha256": SHA256, "mirrors": (), **facts})


def proof_of(file: RemoteFile, archive: Path) -> Proof:
    """Prove a file with the SHA-256 that its bytes have."""
    return prove(file, archive, hashlib.sha256(archive.read_bytes()).hexdigest())


def test_the_proof_is_what_the_disk_says(archive: Path) -> None:
    """Size, SHA-256 and the gzip trailer's CRC-32 and length come from the file, beside the expected values."""
    assert proof_of(published(), archive) == Proof(
        name=NAME,
        bytes=len(BODY),
        sha256=SHA256,
        crc32=f"{zlib.crc32(RAW):08x}",
        raw_size_mod_2_32=len(RAW),
        origin="published",
        expected_bytes=len(BODY),
        expected_sha256=SHA256,
    )


def test_the_stage_writes_the_same_proof_each_time(archive: Path, tmp_path: Path) -> None:
    """proof.json reads back as the proof, and says who said what the file had to be."""
    ref = bind("download", archive.parent, NAME)
    outs = [tmp_path / "first", tmp_path / "second"]
    for out in outs:
        out.mkdir()
        summary = verify.function(published(None, origin="first use"), ref, out)
        assert summary == VerifySummary(bytes=len(BODY), sha256=SHA256, origin="first use")
    first, second = ((out / "proof.json").read_bytes() for out in outs)
    assert first == second
    assert Proof.model_validate_json(first).origin == "first use"


@given(position=st.integers(2, len(BODY) - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_is_refused(position: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One wrong bit anywhere on the disk is an error with both hashes."""
    folder = tmp_path_factory.mktemp("flip")
    damaged = bytearray(BODY)
    damaged[position] ^= 1 << bit
    (folder / NAME).write_bytes(damaged)
    with pytest.raises(ChecksumMismatch) as mismatch:
        proof_of(published(), folder / NAME)
    assert mismatch.value.expected == f"SHA-256 {SHA256}"
    assert mismatch.value.found == hashlib.sha256(damaged).hexdigest()


def test_a_wrong_size_is_refused(archive: Path) -> None:
    """A size other than the expected one is an error of its own."""
    with pytest.raises(ChecksumMismatch, match=f"expected {len(BODY) + 1} bytes, found {len(BODY)}"):
        proof_of(published(len(BODY) + 1), archive)


@pytest.mark.parametrize(
    ("body", "found", "way_out"),
    [
        (b"", "an empty file (0 bytes)", "get the file again"),
        (BODY[:17], "a gzip file (17 bytes)", "cut short"),
        (b"\0\0\x08\1\0\0\0\1", "a raw IDX file (8 bytes)", "cut short"),
        (b"<!doctype html><p>Log in</p>", "an HTML page (28 bytes)", "get the file itself"),
    ],
)
def test_what_is_of_no_kind_that_is_taken_is_refused(body: bytes, found: str, way_out: str, archive: Path) -> None:
    """A file that cannot hold an IDX file is refused by name, even if it is the expected one."""
    archive.write_bytes(body)
    with pytest.raises(ChecksumMismatch) as mismatch:
        proof_of(published(None, sha256=hashlib.sha256(body).hexdigest()), archive)
    assert mismatch.value.found == found
    assert way_out in mismatch.value.way_out


@pytest.mark.parametrize(
    "body",
    [lzma.compress(RAW), b"\0\0\x08\1\0\0\0\5hello", BODY + bytes(512), BODY + gzip.compress(b"")],
    ids=["xz", "raw", "padded", "empty last member"],
)
def test_a_file_without_a_trailer_is_proved_without_one(body: bytes, archive: Path) -> None:
    """Raw and xz files have no CRC-32 of gzip, and of a padded file the last bytes are none."""
    archive.write_bytes(body)
    proof = proof_of(published(None, sha256=hashlib.sha256(body).hexdigest()), archive)
    assert (proof.crc32, proof.raw_size_mod_2_32, proof.bytes) == (None, None, len(body))
    assert Proof.model_validate_json(proof.model_dump_json()) == proof


@pytest.mark.parametrize(
    ("origin", "said"), [("published", ""), ("own file", " as it was hashed"), ("first use", " as on its first use")]
)
def test_another_file_is_refused_by_whoever_said_what_it_is(origin: str, said: str, archive: Path) -> None:
    """The error says whether the expected SHA-256 was published, hashed or trusted."""
    archive.write_bytes(gzip.compress(RAW[1:], mtime=0))
    with pytest.raises(ChecksumMismatch) as mismatch:
        proof_of(published(None, origin=origin), archive)
    assert mismatch.value.expected == f"SHA-256 {SHA256}{said}"
