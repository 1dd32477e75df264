"""Decompression: what gzip allows, what it does not, and the same from both libraries."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.ref import RESERVED
from schemas.datasets import RemoteFile
from schemas.errors import BadGzip, BadIdx, IdxflowError
from tasks.decompress import DecompressSummary, decompress, extract, gunzip, raw_name
from tasks.formats import inflate as module
from tasks.formats.inflate import XZ_MEMORY, inflate, inflate_library, unxz
from tests.memory import peak_memory
from tests.tasks.idx_bytes import idx_bytes
from tests.tasks.refs import bind

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


def outcome(path: Path, library: ModuleType | None = None) -> bytes | None:
    """What is in the archive, of xz without a library; None when it is refused."""
    try:
        return b"".join(inflate(path, library, path.name) if library else unxz(path, path.name))
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


@pytest.mark.parametrize("zeros", [1, 3, 8, 512, 2**16, 2**16 + 1])
def test_zeros_after_the_end_are_padding(path: Path, library: ModuleType, zeros: int) -> None:
    """Zeros after the last member, with which tapes fill a block, are no damage; gzip itself ignores them."""
    path.write_bytes(member(WHOLE) + member(b"") + bytes(zeros))
    assert outcome(path, library) == WHOLE


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x1f",
        b"\x1f\x8b",
        b"<html>",
        member(WHOLE)[:-1],
        b"\x1f\x8b\x08\xe0" + bytes(20),
        bytes(512) + b"\1",
        bytes(2**16) + member(WHOLE),
    ],
)
def test_garbage_after_the_end_is_refused(path: Path, library: ModuleType, garbage: bytes) -> None:
    """Anything but another whole member, or zeros to the end, is refused after the last one."""
    path.write_bytes(member(WHOLE) + garbage)
    assert outcome(path, library) is None


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "expected a gzip file, found an empty file"),
        (b"PK\3\4zip", r"expected a gzip file \(1f 8b\), found 7 bytes that begin 50 4b"),
        (b"\x1f\x8b\x07\0" + bytes(20), "expected method 08 and known flags, found method 07, flags 00"),
        (b"\x1f\x8b\x08\x20" + bytes(20), "found method 08, flags 20"),
        (member(WHOLE)[:40], "found the end of the file after 40 bytes"),
        (member(WHOLE)[:-1] + b"\1", r"expected CRC-32 [0-9a-f]{8} and \d+ bytes modulo 2\^32, found CRC-32 .* and 56"),
        (member(WHOLE) + b"more", r"or another member, at byte \d+, found 4 bytes more"),
    ],
)
def test_message_says_what_was_found(path: Path, library: ModuleType, data: bytes, found: str) -> None:
    """Each refusal says what was expected, what was found instead, and what to do; nothing that cannot help."""
    path.write_bytes(data)
    with pytest.raises(BadGzip, match=rf"^x\.gz: .*{found}.* (get a sound copy of it|get the whole one)\.$"):
        list(inflate(path, library, path.name))


@pytest.mark.parametrize(
    ("more", "found"), [(2**24, f"found {40 + 2**24} bytes"), (2**26, f"found more than {2**26 - 16} bytes")]
)
def test_bomb_ends_early(path: Path, library: ModuleType, more: int, found: str) -> None:
    """Megabytes behind a header that promises 40 bytes are counted up to a cap, not written, and take no memory."""
    path.write_bytes(member(WHOLE + bytes(more)))
    target = path.with_name("x")

    def refused() -> None:
        with pytest.raises(BadIdx, match=f"uint8 of shape 5 x 4 x 2: a body of 40 bytes, {found}"):
            gunzip(path, target, None, library, "x.gz")

    assert peak_memory(refused, limit=2**20) < 2**20
    assert target.stat().st_size <= 56


def test_nothing_is_inflated_beyond_the_cap(path: Path, library: ModuleType) -> None:
    """What follows the cap is never looked at: damage behind it goes unseen."""
    whole = member(WHOLE + bytes(2**26 + 2**18), 1)
    path.write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(BadIdx, match="found more than"):
        gunzip(path, path.with_name("x"), None, library, "x.gz")
    path.write_bytes(member(bytes(2**26 + 2**18), 1)[:-8] + bytes(8))
    with pytest.raises(BadIdx, match=rf"found a file of zeros \(more than {2**26} bytes\)"):
        gunzip(path, path.with_name("x"), None, library, "x.gz")


@pytest.mark.parametrize(
    ("data", "published", "message"),
    [
        (WHOLE[:-1], None, "a body of 40 bytes, found 39 bytes"),
        (WHOLE + b"\0", 56, "a body of 40 bytes, found 41 bytes"),
        (WHOLE, 57, "expected 57 bytes inside, as published, found uint8 of shape 5 x 4 x 2: 56 bytes"),
        (b"", None, r"expected an IDX file inside, found nothing \(0 bytes\)"),
        (member(WHOLE), None, rf"expected an IDX file inside, found a gzip file \({len(member(WHOLE))} bytes\)"),
        (b"\0\0\x08\3" + b"\xff" * 12, None, "expected at most 68719476736 bytes in all, .*; the file has 16 bytes"),
    ],
    ids=["shorter", "longer", "published", "empty", "twice", "absurd"],
)
def test_content_is_what_was_promised(
    path: Path, library: ModuleType, data: bytes, published: int | None, message: str
) -> None:
    """The IDX header, the published size and the real size have to be the same."""
    path.write_bytes(member(data))
    with pytest.raises(BadIdx, match=message):
        gunzip(path, path.with_name("x"), published, library, "x.gz")


@pytest.mark.parametrize("rows", [60_000, 80_000])
@pytest.mark.parametrize("dtype", ["<u4", ">u4"])
def test_a_large_little_endian_file_is_counted_to_its_end(path: Path, rows: int, dtype: str) -> None:
    """Dimensions that promise terabytes when they are read big-endian are told by the file's whole length."""
    magic, shape = np.array([0x0803], dtype), np.array([rows, 28, 32], "<u4")
    path.write_bytes(member(magic.tobytes() + shape.tobytes() + bytes(rows * 28 * 32), 1))
    with pytest.raises(BadIdx, match=rf"found a little-endian IDX file \({16 + rows * 28 * 32} bytes\)"):
        extract(path, path.with_name("x"), None, "x.gz")


def test_zlib_takes_over_where_isal_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without isal, zlib inflates; with it, isal."""
    assert inflate_library() is LIBRARIES[-1]
    monkeypatch.setitem(sys.modules, "isal", None)
    assert inflate_library() is zlib


def staged(folder: Path, name: str, data: bytes, **facts: Any) -> tuple[Path, DecompressSummary]:
    """Run the stage on an archive of this name. Returns: the only file that it leaves, and its summary."""
    archive, out = bind("download", folder / "archive", name), bind("decompress", folder / "out")
    (folder / "archive" / name).write_bytes(data)
    (folder / "archive" / name).chmod(0o444)
    file = RemoteFile(name=name, mirrors=(), **facts)
    summary = decompress.function(file=file, stored=archive, proof=out, out=folder / "out")
    (raw,) = (folder / "out").iterdir()
    return raw, DecompressSummary.model_validate(summary.model_dump())


@pytest.mark.parametrize("pack", [bytes, member, lzma.compress], ids=["raw", "gzip", "xz"])
@pytest.mark.parametrize("name", ["images.gz", "images", "images.XZ", "images.idx", "record.json.gz"])
def test_each_way_of_storing_is_taken_under_any_name(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    """The bytes say how a file is stored, not its name; what is left is the same, under a name of its own."""
    raw, summary = staged(tmp_path, name, pack(WHOLE), raw_bytes=len(WHOLE))
    assert (raw.name, raw.read_bytes()) == (raw_name(RemoteFile(name=name, mirrors=()).file_name), WHOLE)
    assert summary == DecompressSummary(raw_bytes=56, dtype="uint8", shape=(5, 4, 2))
    assert raw.name not in RESERVED
    assert name != "images.gz" or raw.name == "images"
    assert not raw.samefile(tmp_path / "archive" / name)


def test_a_name_that_disagrees_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Labels under `-idx3-` are taken, with a warning that the artifact's summary keeps."""
    name = "train-labels.idx3-ubyte.gz"
    (finding,) = staged(tmp_path, name, member(idx_bytes(np.arange(3, dtype=np.int32))))[1].findings
    assert finding == "its name says uint8 of rank 3, its header int32 of shape 3; the header counts"
    said = [(each.name, each.getMessage()) for each in caplog.records]
    assert said == [("idxflow.decompress", f"{name}: {finding}.")]


@pytest.mark.parametrize("check", [lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5), (64, 1), (2**15, 2**16)])
def test_xz_streams_are_joined(path: Path, check: int, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Several streams, empty ones and padding included, give their contents in a row, however they are cut."""
    monkeypatch.setattr(module, "CHUNK", sizes[0])
    monkeypatch.setattr(module, "BLOCK", sizes[1])
    streams = [lzma.compress(data, check=check) for data in (WHOLE, b"", bytes(3000))]
    path.write_bytes(streams[0] + bytes(8) + streams[1] + streams[2] + bytes(12))
    assert outcome(path) == WHOLE + bytes(3000)


def test_every_truncation_and_flipped_bit_of_xz_is_refused(path: Path) -> None:
    """An xz file cut at any byte, or with any bit flipped, is refused."""
    whole = lzma.compress(WHOLE)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert outcome(path) is None, cut
    for bit in range(8 * len(whole)):
        bad = bytearray(whole)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        assert outcome(path) is None, bit


@pytest.mark.parametrize(
    "garbage",
    [b"\0", bytes(6), b"<html>", bytes(4) + b"more", lzma.compress(WHOLE)[:-1], b"\xfd7zXZ", bytes(2**16 + 2)],
)
def test_garbage_after_xz_is_refused(path: Path, garbage: bytes) -> None:
    """Anything but another whole stream, or zeros in fours, is refused after the last one."""
    path.write_bytes(lzma.compress(WHOLE) + garbage)
    assert outcome(path) is None


def test_xz_without_an_integrity_check_is_refused(path: Path) -> None:
    """What nobody could tell damage of is refused, with the command that mends it."""
    path.write_bytes(lzma.compress(WHOLE, check=lzma.CHECK_NONE))
    with pytest.raises(BadGzip, match=r"with an integrity check, found none .*`xz --check=crc64`"):
        list(unxz(path, path.name))


def test_xz_may_not_ask_for_more_memory_than_is_allowed(path: Path) -> None:
    """A block whose header asks for a dictionary of 4 GiB is refused; memory for it is never taken."""
    whole = bytearray(lzma.compress(WHOLE))
    header = slice(12, 12 + 4 * (whole[12] + 1))
    assert whole[14:16] == b"\x21\1"  # the filter, LZMA2, and the length of its only property: the dictionary's size
    whole[16] = 40
    whole[header.stop - 4 : header.stop] = struct.pack("<I", zlib.crc32(whole[header.start : header.stop - 4]))
    path.write_bytes(whole)
    with pytest.raises(BadGzip, match=f"in {XZ_MEMORY // 2**20} MiB, found one that wants more"):
        list(unxz(path, path.name))
    path.write_bytes(lzma.compress(WHOLE, preset=9))
    assert outcome(path) == WHOLE


def test_an_xz_bomb_ends_early(path: Path) -> None:
    """65 MiB of zeros in some kB are counted up to the cap, in constant memory, and not written."""
    path.write_bytes(lzma.compress(WHOLE + bytes(2**26 + 2**20), preset=0))
    target = path.with_name("x")

    def refused() -> None:
        with pytest.raises(BadIdx, match=f"found more than {2**26 - 16} bytes"):
            extract(path, target, None, "x.xz")

    assert peak_memory(refused, limit=2**24) < 2**24
    assert target.stat().st_size <= 56


def test_a_raw_file_is_as_long_as_its_header_says(path: Path) -> None:
    """A raw IDX file of another length is refused before anything is written."""
    path.write_bytes(WHOLE + bytes(2**20))
    with pytest.raises(BadIdx, match=f"found {2**20 + 40} bytes"):
        extract(path, path.with_name("x"), None, "x.gz")
    assert not path.with_name("x").exists()


BODIES = [WHOLE, member(WHOLE), lzma.compress(WHOLE), member(lzma.compress(WHOLE)), full_member(WHOLE)]


def spoiled(whole: bytes, at: int, bad: bytes) -> bytes:
    """Bytes that were put into others."""
    return whole[:at] + bad + whole[at:]


def header_bytes(kind: int, rank: int, rest: bytes) -> bytes:
    """What begins as an IDX file may."""
    return bytes([0, 0, kind, rank]) + rest


@given(
    data=st.binary(max_size=200)
    | st.builds(lambda whole, cut: whole[:cut], st.sampled_from(BODIES), st.integers(0, 200))
    | st.builds(spoiled, st.sampled_from(BODIES), st.integers(0, 99), st.binary())
    | st.builds(header_bytes, st.sampled_from([7, 8, 9, 12]), st.integers(0, 9), st.binary(max_size=60))
    | st.builds(member, st.binary(max_size=100))
)
def test_whatever_comes_is_taken_or_refused_by_name(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """No file leads to anything but an IDX file that its header describes, or an error of four parts."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "x.gz").write_bytes(data)
    try:
        header = extract(folder / "x.gz", folder / "x", None, "x.gz")
    except IdxflowError as error:
        assert error.expected and error.found and error.way_out
    else:
        assert (folder / "x").stat().st_size == header.size


@pytest.mark.mnist
@pytest.mark.parametrize("name", RAW_SHA256)
def test_genuine_mnist(mnist_files: Path, tmp_path: Path, library: ModuleType, name: str) -> None:
    """The four MNIST files inflate to their published content."""
    gunzip(mnist_files / f"{name}.gz", tmp_path / name, None, library, "x.gz")
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == RAW_SHA256[name]
