"""Forty files that are something else, in a folder that is a mirror: each is named, with the next step."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import pickle
import random
import re
import struct
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather, parquet

from schemas.datasets import RemoteFile
from schemas.errors import DownloadFailed, StageError
from tasks.decompress import decompress
from tasks.formats.idx import open_idx
from tasks.formats.kinds import EMPTY, MAGIC, kind_of
from tasks.transport.first_use import take_from
from tasks.verify import prove
from tests.tasks.bench import NAME, Bench, served
from tests.tasks.idx_bytes import idx_bytes
from tests.tasks.refs import bind

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
WHOLE = idx_bytes(PIXELS)
NOISE = random.Random(3).randbytes(30_730)


def zipped(name: str, content: bytes) -> bytes:
    """A zip archive of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def tarred() -> bytes:
    """A tar archive of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        member = tarfile.TarInfo("train-images")
        member.size = len(WHOLE)
        file.addfile(member, io.BytesIO(WHOLE))
    return buffer.getvalue()


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    """What a library writes into a file."""
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def little_endian(magic: str) -> bytes:
    """The whole file as a little-endian machine has its numbers; the magic number in either byte order."""
    return struct.pack(f"{magic}I", 0x0803) + struct.pack("<3I", *PIXELS.shape) + PIXELS.tobytes()


def cifar() -> bytes:
    """Ten records of CIFAR-10: a label and 3072 pixels."""
    return b"".join(bytes([label]) + NOISE[1:3073] for label in range(10))


def lfs() -> bytes:
    """What git leaves where git-lfs is missing."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 9912422\n".encode()


TABLE = pa.table({"label": [1, 2, 3]})
CONVERT, AGAIN = "docs/datasets.md shows how", "get the file again"
PAGE = b"<!DOCTYPE html>\n<html><body>Log in.</body></html>\n"
KINDS: dict[str, tuple[bytes, str, str]] = {
    "zip": (zipped("train-images", WHOLE), "a zip archive", "Unpack it and name the files in it."),
    "npz": (saved(lambda file: np.savez(file, x=PIXELS)), "an npz file of NumPy", CONVERT),
    "npy": (saved(lambda file: np.save(file, PIXELS)), "an npy file of NumPy", CONVERT),
    "torch": (zipped("archive/data.pkl", pickle.dumps([1])), "a PyTorch file", "never opened"),
    "pickle": (pickle.dumps({"images": [1, 2]}), "a Python pickle", "never opened"),
    "tar": (tarred(), "a tar archive", "tar -xf"),
    "tar in gzip": (gzip.compress(tarred()), "a tar archive", "tar -xf"),
    "tar in xz": (lzma.compress(tarred()), "a tar archive", "tar -xf"),
    "gzip in gzip": (gzip.compress(gzip.compress(WHOLE)), "a gzip file", "compressed twice"),
    "xz in gzip": (gzip.compress(lzma.compress(WHOLE)), "an xz file", "compressed twice"),
    "gzip of nothing": (gzip.compress(b""), "nothing (0 bytes)", "an empty file"),
    "xz of nothing": (lzma.compress(b""), "nothing (0 bytes)", "an empty file"),
    "HTML in gzip": (gzip.compress(PAGE), "an HTML page", "get the file itself"),
    "npy in gzip": (gzip.compress(saved(lambda file: np.save(file, PIXELS))), "an npy file", CONVERT),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE[:90], "one PNG picture", "Join all pictures"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + NOISE[:90], "one JPEG picture", "Join all pictures"),
    "GIF": (b"GIF89a" + NOISE[:90], "one GIF picture", "Join all pictures"),
    "BMP": (b"BM" + struct.pack("<I", 96) + NOISE[:90], "one BMP picture", "Join all pictures"),
    "TIFF": (b"II*\0" + NOISE[:90], "one TIFF picture", "Join all pictures"),
    "PGM": (b"P5\n4 5\n255\n" + PIXELS.tobytes()[:20], "one Netpbm picture", "Join all pictures"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + NOISE[:500], "an HDF5 file", CONVERT),
    "Parquet": (saved(lambda file: parquet.write_table(TABLE, file)), "a Parquet file", CONVERT),
    "Arrow": (saved(lambda file: feather.write_feather(TABLE, file)), "an Arrow file", CONVERT),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\1IM", "a MATLAB .mat file", CONVERT),
    "SQLite": (b"SQLite format 3\0" + NOISE[:500], "an SQLite database", CONVERT),
    "bzip2": (bz2.compress(WHOLE), "a bzip2 file", "bunzip2"),
    "zstd": (pa.Codec("zstd").compress(WHOLE, asbytes=True), "a zstd file", "zstd -d"),
    "LZ4": (b"\x04\x22\x4d\x18" + NOISE[:90], "an LZ4 file", "lz4 -d"),
    "lzma": (lzma.compress(WHOLE, lzma.FORMAT_ALONE), "an .lzma file", "xz -d"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + NOISE[:90], "a 7z archive", "7z x"),
    "RAR": (b"Rar!\x1a\x07\1\0" + NOISE[:90], "a RAR archive", "unrar x"),
    "PDF": (b"%PDF-1.7\n%\xb5\xb5\n" + NOISE[:90], "a PDF document", "Name the data file itself."),
    "HTML": (PAGE, "an HTML page", "get the file itself"),
    "XML": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML file", "a server's error"),
    "JSON": (json.dumps({"error": "over quota"}).encode(), "a JSON file", "a server's error"),
    "CSV": (b"label,1x1,1x2\n5,0,0\n0,0,0\n", "a CSV file", CONVERT),
    "text": ("\ufeffNot found: é\n".encode(), "a text file", "Read it in an editor"),
    "UTF-16": ("Not found\n".encode("utf-16"), "a text file in UTF-16", "Read it in an editor"),
    "Git LFS": (lfs(), "a Git LFS pointer", "Run `git lfs pull`"),
    "git-annex": (b"/annex/objects/SHA256E-s9912422--440f.gz\n", "a git-annex pointer", "Run `git annex get .`"),
    "git-annex path": (b"../.git/annex/objects/1/2/SHA256E--4/SHA256E--4", "a git-annex pointer", "Run `git annex get"),
    "empty": (b"", "an empty file (0 bytes)", AGAIN),
    "zeros": (bytes(9000), "a file of zeros", AGAIN),
    "zeros in gzip": (gzip.compress(bytes(9000)), "a file of zeros", AGAIN),
    "little-endian dimensions": (little_endian(">"), "a little-endian IDX file", CONVERT),
    "little-endian": (little_endian("<"), "a little-endian IDX file", CONVERT),
    "little-endian in gzip": (gzip.compress(little_endian(">")), "a little-endian IDX file", CONVERT),
    "little-endian all in gzip": (gzip.compress(little_endian("<")), "a little-endian IDX file", CONVERT),
    "CIFAR": (cifar(), "a CIFAR file", CONVERT),
    "CIFAR in gzip": (gzip.compress(cifar()), "a CIFAR file", CONVERT),
    "a Mac's note": (b"\0\5\x16\7\0\2\0\0" + NOISE[:90], "a Mac's note on another file", "without `._`"),
    "unknown": (b"\x07IMAGES\x01" + NOISE, "an unknown file that begins 07 49 4d 41 47 45 53 01", "docs/"),
    "unknown words": (b"NOTES v2" + NOISE, 'begins 4e 4f 54 45 53 20 76 32 ("NOTES v2")', "docs/"),
    "unknown type": (b"\0\0\x07\3" + WHOLE[4:], "begins 00 00 07 03 00 00 00 05", "docs/"),
    "cut gzip": (gzip.compress(WHOLE)[:-9], "the end of the file after", "get the whole one"),
    "cut gzip header": (gzip.compress(WHOLE)[:5], "a gzip file (5 bytes)", "get the whole"),
    "cut xz": (lzma.compress(WHOLE)[:-9], "the end of the file after", "get the whole one"),
    "cut header": (WHOLE[:10], "6; the file has 10 bytes", "replace it"),
    "cut body": (WHOLE[:-12], "48 bytes, 1 image of 4 x 3 fewer than the header says", "the whole file"),
    "colour": (WHOLE + 2 * PIXELS.tobytes(), "180 bytes, 3 times that (colour?)", "the header"),
}


def content_of(body: bytes) -> bytes:
    """What a sound compressed file holds; else the file itself."""
    with contextlib.suppress(EOFError, OSError):
        return gzip.decompress(body)
    with contextlib.suppress(EOFError, lzma.LZMAError):
        return lzma.decompress(body, lzma.FORMAT_XZ)
    return body


def reach(bench: Bench, folder: Path) -> Path:
    """Take the file in `folder` through download, verify and decompress, as a data set of one's own does."""
    body = (folder / NAME).read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    file = RemoteFile(name=NAME, bytes=len(body) or None, sha256=sha256, mirrors=(), origin="own file")
    bench.get(folder.as_uri(), file=file)
    prove(file, bench.out / NAME, sha256)
    ref, out = bind("download", bench.out), bind("decompress", folder / "raw")
    decompress.function(file=file, stored=ref, proof=out, out=folder / "raw")
    return folder / "raw" / NAME.removesuffix(".gz")


@pytest.mark.parametrize(("body", "named", "step"), KINDS.values(), ids=KINDS)
def test_what_is_something_else_is_named(body: bytes, named: str, step: str, bench: Bench, tmp_path: Path) -> None:
    """The message names it, with its length and the next step, in two lines; the right file in its place is read."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / NAME).write_bytes(body)
    with pytest.raises(StageError) as refused:
        reach(bench, folder)
    message = str(refused.value).replace(folder.as_uri(), "file:///data/leaves")
    print(message)  # noqa: T201
    assert named in refused.value.found
    assert step in refused.value.way_out
    assert re.search(
        rf"\b({len(body)}|{len(content_of(body))}|{len(content_of(body)) - 16}) bytes", refused.value.found
    )
    assert len(textwrap.wrap(message, 120)) < 3, message
    for unfit in ("--mirror", "--refresh", "--dataset", "catalog"):
        assert unfit not in message
    for path in (*bench.out.iterdir(), *(folder / "raw").glob("*")):
        path.unlink()  # as staging does
    assert [part.stat().st_size for part in bench.parts if part.suffix == ".part"] in ([], [0])
    (folder / NAME).write_bytes(gzip.compress(WHOLE))
    assert reach(bench, folder).read_bytes() == WHOLE


def test_a_link_to_an_annexed_file_is_named(bench: Bench, tmp_path: Path) -> None:
    """A link into git-annex's folder that leads nowhere is named; another broken link is not there, as ever."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / NAME).symlink_to("../.git/annex/objects/1/2/SHA256E--4/SHA256E--4")
    with pytest.raises(DownloadFailed, match=r"a link to a git-annex object that is not there.*`git annex get \.`"):
        bench.get(folder.as_uri())
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("nowhere")
    with pytest.raises(DownloadFailed, match="no file"):
        bench.get(folder.as_uri())


def test_what_another_mirror_says_is_no_advice_on_the_file(bench: Bench, tmp_path: Path) -> None:
    """A page in place of a file whose checksum is known says nothing of the file: the mirrors are the way out."""
    (tmp_path / NAME).write_bytes(PAGE)
    with pytest.raises(DownloadFailed, match=r"an HTML page \(50 bytes\).*Tried 1 mirror"):
        bench.get(tmp_path.as_uri())


@pytest.mark.parametrize("at", range(len(MAGIC)))
def test_each_magic_number_tells_its_kind_alone(at: int) -> None:
    """No earlier rule hides a later one."""
    place, magic, kind = MAGIC[at]
    assert kind_of(b"~" * place + magic + NOISE[:600], None) is kind


@given(head=st.binary(max_size=600), size=st.integers(0, 2**40) | st.none())
def test_every_file_is_of_some_kind(head: bytes, size: int | None) -> None:
    """Any bytes have a name and a next step; nothing but no bytes at all is empty."""
    kind = kind_of(head, size)
    assert kind.found("7 bytes").endswith(" (7 bytes)")
    assert kind.next_step.endswith(".")
    assert (kind is EMPTY) == (not head)
    assert kind.name.isprintable()


def test_a_first_use_of_something_else_is_refused_with_the_next_step(tmp_path: Path) -> None:
    """A remote file of which nothing is published is judged as it comes, and nothing waits to be trusted."""
    with served(body=KINDS["zip"][0]) as mirror:
        taken, faults = take_from(mirror.url, [RemoteFile(name=NAME, mirrors=(mirror.url,))], tmp_path)
    assert taken == {}
    assert str(faults[NAME]) == f"a zip archive ({len(KINDS['zip'][0])} bytes)"
    assert faults[NAME].next_step == "Unpack it and name the files in it."
    assert list(tmp_path.glob("*.first")) == []


@given(
    data=st.binary(max_size=400)
    | st.builds(lambda each, cut: each[0][:cut], st.sampled_from(list(KINDS.values())), st.integers(0, 400))
)
def test_no_file_of_ones_own_fails_without_a_word(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any bytes in a folder lead to an IDX file, or to an error of four parts."""
    folder = tmp_path_factory.mktemp("own")
    bench = Bench(folder)
    (folder / "files").mkdir()
    (folder / "files" / NAME).write_bytes(data)
    try:
        raw = reach(bench, folder / "files")
    except StageError as refused:
        assert all((refused.expected, refused.found, refused.way_out))
    else:
        assert raw.stat().st_size == open_idx(raw).header.size
