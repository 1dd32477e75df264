"""The IDX reader: every type, every shape, and nothing taken on trust."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.errors import BadIdx
from tasks.formats.idx import COLOURS, CORRECT, CUT, MAX_BYTES, REWRITE, Header, disagreement, open_idx, read_header
from tests.memory import peak_memory
from tests.tasks.idx_bytes import CODES, idx_bytes, write_idx

WHOLE = idx_bytes(np.arange(24, dtype=np.int16).reshape(4, 3, 2))
ARRAYS = st.sampled_from(sorted(CODES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=1, max_dims=8, min_side=1, max_side=3))
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each example of a test overwrites; its name says nothing of its type."""
    return tmp_path_factory.mktemp("idx") / "array"


@given(array=ARRAYS, rows=st.integers(1, 4))
def test_round_trip(path: Path, array: npt.NDArray[Any], rows: int) -> None:
    """Any array of the six types comes back bit by bit in native byte order, at once and in blocks of any size."""
    file = open_idx(write_idx(path, array))
    blocks = list(file.blocks(rows))
    for found in (file.read(), np.concatenate(blocks)):
        assert found.dtype == array.dtype and found.dtype.isnative
        assert found.shape == array.shape
        assert found.tobytes() == array.tobytes()
    assert {len(block) for block in blocks[:-1]} <= {rows}


@pytest.mark.parametrize(
    ("code", "body", "value"),
    [
        (0x08, "ff", 255),
        (0x09, "ff", -1),
        (0x0B, "0102", 258),
        (0x0C, "01020304", 16909060),
        (0x0D, "3fc00000", 1.5),
        (0x0E, "bff8000000000000", -1.5),
    ],
)
def test_values_are_big_endian(path: Path, code: int, body: str, value: float) -> None:
    """Each type's value is the one that its bytes spell, the most significant one first."""
    path.write_bytes(bytes([0, 0, code, 1, 0, 0, 0, 1]) + bytes.fromhex(body))
    assert open_idx(path).read().tolist() == [value]


@given(cut=st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(path: Path, cut: int) -> None:
    """A file cut at any byte is refused with what was expected and found, never half-read."""
    path.write_bytes(WHOLE[:cut])
    with pytest.raises(BadIdx, match=r"^array, b(ytes|ody) .*: expected .* found \d+( bytes?, .*)?\. "):
        open_idx(path)


@given(more=st.binary(min_size=1, max_size=20))
def test_every_excess_is_refused(path: Path, more: bytes) -> None:
    """A file with bytes after its body is refused with both sizes."""
    path.write_bytes(WHOLE + more)
    with pytest.raises(BadIdx, match=rf"a body of 48 bytes, found {48 + len(more)} bytes, \d+ "):
        open_idx(path)


@pytest.mark.parametrize(
    ("at", "value", "field"),
    [
        (0, 0x3C, r"bytes 0-1 \(magic number\): expected 00 00, found 3c 00"),
        (1, 0x01, r"bytes 0-1 \(magic number\): expected 00 00, found 00 01"),
        (2, 0x0A, r"byte 2 \(type\): expected 08, 09, 0b, 0c, 0d or 0e, found 0a"),
        (2, 0x00, r"byte 2 \(type\): .* found 00"),
        (3, 0, r"byte 3 \(rank\): expected 1 to 8 dimensions, found 0"),
        (3, 9, r"byte 3 \(rank\): expected 1 to 8 dimensions, found 9"),
        (3, 8, r"bytes 4-35 \(dimensions\): expected 32 bytes, found 12"),
        (7, 0, r"bytes 4-7 \(dimension 0\): expected at least 1, found 0"),
        (15, 0, r"bytes 12-15 \(dimension 2\): expected at least 1, found 0"),
    ],
)
def test_message_names_field_and_position(at: int, value: int, field: str) -> None:
    """A malformed header is refused with the name of the field and the bytes where it stands."""
    head = bytearray(WHOLE[:16])
    head[at] = value
    with pytest.raises(BadIdx, match=rf"^x, {field}\."):
        read_header(bytes(head), "x")


@given(at=st.integers(0, 15), value=st.integers(0, 255))
def test_one_bad_byte_in_the_header(path: Path, at: int, value: int) -> None:
    """Any other byte at any position of an int16 header is refused, since no other header promises the same size."""
    bad = bytearray(WHOLE)
    bad[at] = value if value != bad[at] else value ^ 0xFF
    path.write_bytes(bad)
    with pytest.raises(BadIdx, match="expected"):
        open_idx(path)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("labels-idx1-ubyte", np.arange(3, dtype=np.int32), "uint8 of rank 1, its header int32 of shape 3"),
        ("labels-idx1-ubyte", np.arange(3, dtype=np.int8), "uint8 of rank 1, its header int8 of shape 3"),
        ("labels.idx3-ubyte", np.arange(3, dtype=np.uint8), "uint8 of rank 3, its header uint8 of shape 3"),
        ("labels-idx1-ubyte", np.arange(3, dtype=np.uint8), None),
        ("labels-idx1-int", np.arange(3, dtype=np.int32), None),
        ("labels", np.arange(3, dtype=np.int32), None),
    ],
)
def test_a_name_is_less_than_the_bytes(tmp_path: Path, name: str, array: npt.NDArray[Any], said: str | None) -> None:
    """A name that says another type or rank than a sound file has is told, and the file is read as it is."""
    file = open_idx(write_idx(tmp_path / name, array))
    assert np.array_equal(file.read(), array)
    assert disagreement(name, file.header) == (f"its name says {said}; the header counts" if said else None)


@pytest.mark.parametrize(
    ("shape", "body", "looks", "way_out"),
    [
        ((5, 4, 3), 180, ", 3 times that (colour?)", COLOURS.format("5 x 4 x 3 x 3")),
        ((5, 4, 3, 3), 60, ", a third of that (grey?)", REWRITE),
        ((5, 4, 2, 3), 60, ", 60 fewer", CUT),
        ((5, 4, 3), 240, ", 4 times that (twice the side, or four channels?)", REWRITE),
        ((5, 4, 3), 120, ", 2 times that (twice the images, or 16-bit pixels?)", REWRITE),
        ((6,), 24, ", 4 times that (wider integers?)", REWRITE),
        ((5, 4, 3), 72, ", 1 image of 4 x 3 more than the header says", CORRECT),
        ((5, 4, 3), 36, ", 2 images of 4 x 3 fewer than the header says", CUT),
        ((5, 4), 28, ", 2 rows of 4 more than the header says, as long as a header", CORRECT),
        ((6,), 14, ", 8 values more than the header says, as long as a header", CORRECT),
        ((5, 4, 3), 76, ", 16 more, as long as a header", CORRECT),
        ((5, 4, 3), 44, ", 16 fewer, as long as a header", CUT),
        ((5, 4, 3), 61, ", 1 more", CORRECT),
        ((5, 4, 3), 0, ", 5 images of 4 x 3 fewer than the header says", CUT),
    ],
)
def test_a_wrong_length_is_told_with_what_it_looks_like(
    path: Path, shape: tuple[int, ...], body: int, looks: str, way_out: str
) -> None:
    """The length of the body is said beside the promised one, and what a body of that length may be."""
    whole = idx_bytes(np.zeros(shape, np.uint8))
    offset = 4 + 4 * len(shape)
    path.write_bytes(whole[:offset] + bytes(body))
    with pytest.raises(BadIdx) as refused:
        open_idx(path)
    assert refused.value.subject == f"array, body from byte {offset}"
    promised = f"uint8 of shape {' x '.join(map(str, shape))}: a body of {math.prod(shape)} bytes"
    assert (refused.value.expected, refused.value.found) == (promised, f"{body} bytes{looks}")
    assert refused.value.way_out == way_out


def test_absurd_promises_take_no_memory(path: Path) -> None:
    """A file of 16 bytes that promises gigabytes, or more than 64 GiB, is refused before memory is taken for it."""

    def refused() -> None:
        for shape, expected in [
            ((2**32 - 1,) * 3, "at most 68719476736 bytes"),
            ((60_000, 1000, 1000), "found 0 bytes"),
        ]:
            path.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, *shape))
            with pytest.raises(BadIdx, match=expected):
                open_idx(path)

    assert peak_memory(refused, limit=2**20) < 2**20


def test_blocks_take_constant_memory(path: Path) -> None:
    """Reading 8 MB in blocks of 64 kB holds some blocks at a time, not the file."""
    file = open_idx(write_idx(path, np.zeros((1000, 100, 20), np.int32)))

    def read() -> None:
        assert sum(len(block) for block in file.blocks(8)) == 1000

    assert peak_memory(read, limit=2**19) < 2**19


def test_file_that_shrinks_while_it_is_read(path: Path) -> None:
    """A file that was cut after it was opened is refused, not read in part."""
    file = open_idx(write_idx(path, np.zeros((1000, 100), np.uint8)))
    path.write_bytes(path.read_bytes()[:50_008])
    with pytest.raises(BadIdx, match="a body of 100000 bytes, found 49996 bytes"):
        list(file.blocks(10))


def test_header_tells_its_size() -> None:
    """A header says where the body begins, how large the file is, and what is in it."""
    header = read_header(bytes.fromhex("00000803 0000ea60 0000001c 0000001c") + b"body", "train")
    assert header == Header(np.dtype("u1"), (60_000, 28, 28))
    assert (header.offset, header.size) == (16, 47_040_016)
    assert str(header) == "uint8 of shape 60000 x 28 x 28"
    assert header.size < MAX_BYTES
