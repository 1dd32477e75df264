"""tasks/verify.py: the proof of an archive, read from the disk."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.ref import Ref
from artifacts.trust import Trust
from schemas.datasets import RemoteFile
from schemas.errors import ChecksumMismatch
from schemas.proof import Proof
from tasks.verify import VerifySummary, prove, verify

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


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """An empty ledger."""
    return Trust(tmp_path / "trust")


def published(sha256: str | None = SHA256, size: int | None = len(BODY)) -> RemoteFile:
    """The catalog's entry of the archive."""
    return RemoteFile(name=NAME, dataset="x", bytes=size, sha256=sha256, mirrors=())


def test_the_proof_is_what_the_disk_says(archive: Path, trust: Trust) -> None:
    """Size, SHA-256 and the gzip trailer's CRC-32 and length come from the file, beside the expected values."""
    assert prove(published(), archive, trust) == Proof(
        name=NAME,
        bytes=len(BODY),
        sha256=SHA256,
        crc32=f"{zlib.crc32(RAW):08x}",
        raw_size_mod_2_32=len(RAW),
        origin="published",
        expected_bytes=len(BODY),
        expected_sha256=SHA256,
    )


def test_the_stage_writes_the_same_proof_each_time(archive: Path, trust: Trust, tmp_path: Path) -> None:
    """proof.json reads back as the proof, and its bytes depend on the archive alone: a first use is no exception."""
    ref = Ref(stage="download", name=NAME, version="0" * 16, digest="0" * 64, manifest="0" * 64).at(archive.parent)
    outs = [tmp_path / "first", tmp_path / "second"]
    for out in outs:
        out.mkdir()
        summary = verify.function(published(None, None), ref, trust, out)
        assert summary == VerifySummary(bytes=len(BODY), sha256=SHA256, origin="first use")
    first, second = ((out / "proof.json").read_bytes() for out in outs)
    assert first == second
    assert Proof.model_validate_json(first).expected_bytes == len(BODY)


@given(position=st.integers(2, len(BODY) - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_is_refused(position: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One wrong bit anywhere on the disk is an error with both hashes."""
    folder = tmp_path_factory.mktemp("flip")
    damaged = bytearray(BODY)
    damaged[position] ^= 1 << bit
    (folder / NAME).write_bytes(damaged)
    with pytest.raises(ChecksumMismatch) as mismatch:
        prove(published(), folder / NAME, Trust(folder))
    assert mismatch.value.expected == f"SHA-256 {SHA256}"
    assert mismatch.value.found == hashlib.sha256(damaged).hexdigest()


def test_a_wrong_size_is_refused(archive: Path, trust: Trust) -> None:
    """A size other than the published one is an error, also where no SHA-256 is published, and is not trusted."""
    file = published(None, len(BODY) + 1)
    with pytest.raises(ChecksumMismatch, match=f"expected {len(BODY) + 1} bytes, found {len(BODY)}"):
        prove(file, archive, trust)
    assert trust.expected(file).sha256 is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "0 bytes that begin with nothing"),
        (BODY[:17], "17 bytes that begin with 1f 8b"),
        (b"<!doctype html><p>Log in</p>", "28 bytes that begin with 3c 21"),
    ],
)
def test_what_is_no_gzip_file_is_never_trusted(body: bytes, found: str, archive: Path, trust: Trust) -> None:
    """A file that cannot be gzip is refused before its first use is written down."""
    archive.write_bytes(body)
    with pytest.raises(ChecksumMismatch) as mismatch:
        prove(published(None, None), archive, trust)
    assert mismatch.value.found == found
    assert trust.expected(published(None, None)).sha256 is None


def test_a_file_is_held_to_its_first_use(archive: Path, trust: Trust) -> None:
    """Without a published SHA-256 the first use is remembered, and another file is refused with the way out."""
    file = published(None, None)
    prove(file, archive, trust)
    archive.write_bytes(gzip.compress(RAW[1:], mtime=0))
    with pytest.raises(ChecksumMismatch, match=rf"{SHA256} as on its first use, .*delete trust/x/{NAME}\.json"):
        prove(file, archive, trust)
