"""Decompression: what gzip allows, what it does not, and the same from both libraries."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from artifacts.ref import Ref
from schemas.datasets import RemoteFile
from schemas.errors import BadGzip
from tasks import decompress as module
from tasks.decompress import DecompressSummary, decompress, gunzip, inflate, inflate_library
from tests.tasks.idx_bytes import idx_bytes

LIBRARIES = [zlib]
try:
    from isal import isal_zlib
except ImportError:
    pass
else:
    LIBRARIES.append(isal_zlib)

WHOLE = idx_bytes(np.arange(40, dtype=np.uint8).reshape(5, 4, 2))
RAW_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest) -> ModuleType:
    """Each inflate library in turn."""
    found: ModuleType = request.param
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test puts its archive."""
    return tmp_path / "x.gz"


def member(data: bytes, level: int = 9) -> bytes:
    """A gzip member as the command line tool makes it, with a file name."""
    buffer = io.BytesIO()
    with gzip.GzipFile("x", "wb", level, buffer, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


def full_member(data: bytes) -> bytes:
    """A member whose header has every optional field: extra, name, comment, CRC-16."""
    head = b"\x1f\x8b\x08\x1e" + bytes(5) + b"\xff" + struct.pack("<H", 5) + b"extra" + b"name\0" + b"comment\0"
    return head + struct.pack("<H", zlib.crc32(head) & 0xFFFF) + member(data)[12:]


def outcome(path: Path, library: ModuleType) -> bytes | None:
    """What is in the archive; None when it is refused."""
    try:
        return b"".join(inflate(path, library))
    except BadGzip:
        return None


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 64), (3, 5), (64, 1), (2**15, 2**16)])
def test_members_are_joined(
    path: Path, library: ModuleType, level: int, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several members, empty ones and full headers included, give their contents in a row, however they are cut."""
    monkeypatch.setattr(module, "CHUNK", sizes[0])
    monkeypatch.setattr(module, "BLOCK", sizes[1])
    noise = random.Random(1).randbytes(700)
    path.write_bytes(member(WHOLE, level) + member(b"") + full_member(noise) + member(bytes(3000), level))
    assert outcome(path, library) == WHOLE + noise + bytes(3000)


def test_every_truncation_is_refused(path: Path, library: ModuleType) -> None:
    """An archive of two members cut at any byte but between them is refused."""
    data = full_member(WHOLE) + member(WHOLE)
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        assert outcome(path, library) == (WHOLE if cut == len(full_member(WHOLE)) else None), cut


def test_every_flipped_bit_is_refused(path: Path) -> None:
    """A flipped bit is refused, but for those that mean nothing: text flag, time, level, system, name, bit padding."""
    one, two = member(WHOLE), full_member(WHOLE)
    data = one + two
    padded = {len(one) - 9, len(data) - 9}
    for bit in range(8 * len(data)):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        found = [outcome(path, library) for library in LIBRARIES]
        assert found == found[:1] * len(found), bit
        if bit // 8 not in padded:
            harmless = bit == 8 * 3 or 4 <= bit // 8 <= 10
            assert found[0] == (WHOLE + WHOLE if harmless else None), bit
        else:
            assert found[0] in (WHOLE + WHOLE, None), bit


@pytest.mark.parametrize(
    "garbage", [b"\0", bytes(512), b"\x1f", b"\x1f\x8b", b"<html>", member(WHOLE)[:-1], b"\x1f\x8b\x08\xe0" + bytes(20)]
)
def test_garbage_after_the_end_is_refused(path: Path, library: ModuleType, garbage: bytes) -> None:
    """Anything but another whole member after the last one is refused, zero padding included."""
    path.write_bytes(member(WHOLE) + garbage)
    assert outcome(path, library) is None


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "expected a gzip file, found an empty file"),
        (b"<!DOCTYPE html><html>", r"expected a gzip file \(1f 8b\), found an HTML page"),
        (b"\n <HTML><head>", "found an HTML page"),
        (WHOLE, "found 00 00 08 03: perhaps an IDX file, decompressed already"),
        (b"PK\3\4zip", "found 50 4b 03 04"),
        (b"\x1f\x8b\x07\0" + bytes(20), "expected method 08 and known flags, found method 07, flags 00"),
        (b"\x1f\x8b\x08\x20" + bytes(20), "found method 08, flags 20"),
        (member(WHOLE)[:40], "found the end of the file after 40 bytes"),
        (member(WHOLE)[:-1] + b"\1", r"expected CRC-32 [0-9a-f]{8} and \d+ bytes modulo 2\^32, found CRC-32 .* and 56"),
        (member(WHOLE) + b"more", r"or another member, at byte \d+, found 4 bytes more"),
    ],
)
def test_message_says_what_was_found(path: Path, library: ModuleType, data: bytes, found: str) -> None:
    """Each refusal says what was expected, what was found instead, and what to do."""
    path.write_bytes(data)
    with pytest.raises(BadGzip, match=rf"^x\.gz: .*{found}.*--refresh download"):
        list(inflate(path, library))


def test_bomb_ends_early(path: Path, library: ModuleType) -> None:
    """16 MB behind a header that promises 40 bytes: no more than those are written, and memory stays small."""
    path.write_bytes(member(WHOLE + bytes(2**24)))
    target = path.with_name("x")
    tracemalloc.start()
    try:
        with pytest.raises(BadGzip, match="as its IDX header says: 56 bytes, found more than 56"):
            gunzip(path, target, None, library)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert target.stat().st_size <= 56


@pytest.mark.parametrize(
    ("data", "published", "message"),
    [
        (WHOLE[:-1], None, "as its IDX header says: 56 bytes, found 55"),
        (WHOLE + b"\0", 56, "56 bytes, found more than 56"),
        (WHOLE, 57, "expected 57 bytes inside, as published, found uint8 of shape 5 x 4 x 2: 56 bytes"),
        (b"", None, r"bytes 0-3 \(magic number\): expected an IDX file inside: 4 bytes, found 0"),
        (member(WHOLE), None, "expected an IDX file inside: 00 00, found 1f 8b"),
        (b"\0\0\x08\3" + b"\xff" * 12, None, "expected an IDX file inside: at most 68719476736 bytes in all"),
    ],
    ids=["shorter", "longer", "published", "empty", "twice", "absurd"],
)
def test_content_is_what_was_promised(
    path: Path, library: ModuleType, data: bytes, published: int | None, message: str
) -> None:
    """The IDX header, the published size and the real size have to be the same."""
    path.write_bytes(member(data))
    with pytest.raises(BadGzip, match=message):
        gunzip(path, path.with_name("x"), published, library)


def test_zlib_takes_over_where_isal_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without isal, zlib inflates; with it, isal."""
    assert inflate_library() is LIBRARIES[-1]
    monkeypatch.setitem(sys.modules, "isal", None)
    assert inflate_library() is zlib


def test_stage_leaves_the_raw_file(tmp_path: Path) -> None:
    """The stage names its file after the archive, without .gz, and says what is in it."""
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    out.mkdir()
    (archive / "images.gz").write_bytes(member(WHOLE))
    ref = Ref(stage="download", name="images.gz", version="0" * 16, digest="0" * 64, manifest="0" * 64).at(archive)
    file = RemoteFile(name="images.gz", mirrors=(), raw_bytes=len(WHOLE))
    summary = decompress.function(file=file, archive=ref, proof=ref, out=out)
    assert summary == DecompressSummary(raw_bytes=56, dtype="uint8", shape=(5, 4, 2))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"images": WHOLE}


@pytest.mark.mnist
@pytest.mark.parametrize("name", RAW_SHA256)
def test_genuine_mnist(mnist_files: Path, tmp_path: Path, library: ModuleType, name: str) -> None:
    """The four MNIST files inflate to their published content."""
    gunzip(mnist_files / f"{name}.gz", tmp_path / name, None, library)
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == RAW_SHA256[name]
