"""The Parquet table: what goes in comes out, as stated; anything else is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import BadTable
from schemas.image_table import (
    METADATA_KEY,
    Batch,
    ImageTable,
    TableMetadata,
    arrow_schema,
    packed_pixels,
    rows_per_group,
    rows_within,
    write_table,
)
from tests.processes import PROJECT

METADATA = TableMetadata(split="train", shape=(4, 5), classes=("no", "yes"), label_offset=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test puts its table."""
    return tmp_path / "table.parquet"


def batch(start: int, stop: int) -> Batch:
    """Rows `start` to `stop - 1` of an endless table of noise."""
    ids = np.arange(start, stop, dtype=np.uint32)
    image = np.random.default_rng(start).integers(0, 256, (len(ids), 20), np.uint8)
    return Batch(ids, (ids % 2).astype(np.uint16), image)


def assert_equal(found: Batch, expected: Batch) -> None:
    """Compare two batches, dtypes included."""
    for column in ("sample_id", "label", "image"):
        one, other = getattr(found, column), getattr(expected, column)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_batches_are_row_groups(path: Path) -> None:
    """Each batch comes back as it went in; empty ones leave no row group."""
    batches = [batch(0, 7), batch(7, 10), batch(10, 10), batch(10, 30)]
    assert write_table(path, METADATA, batches).rows == 30
    table = ImageTable(path)
    assert (table.metadata, table.samples, table.pixels) == (METADATA, 30, 20)
    found = list(table.batches())
    assert len(found) == 3
    for one, other in zip(found, [batches[0], batches[1], batches[3]], strict=True):
        assert_equal(one, other)


def test_whole_table(path: Path) -> None:
    """The whole table is its batches in a row."""
    batches = [batch(0, 7), batch(7, 30)]
    write_table(path, METADATA, batches)
    columns = [np.concatenate([getattr(one, name) for one in batches]) for name in ("sample_id", "label", "image")]
    assert_equal(ImageTable(path).read(), Batch(*columns))


@pytest.mark.parametrize("cuts", [(), (9,), (5, 6), (0, 10, 20), (1, 2, 3, 4), (30,), (3, 3, 27, 30, 30)])
def test_parts_are_read_as_one_file_of_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: tuple[int, ...]
) -> None:
    """Row groups, ids, labels and images do not tell how rows are cut into files; an empty file is no row."""
    monkeypatch.setattr("schemas.image_table.ROW_GROUP", 7)
    rows = batch(0, 30)
    one, parts = tmp_path / "one.parquet", list[Path]()
    edges = (0, *cuts, 30)
    for path, first, last in [
        (one, 0, 30),
        *((tmp_path / f"{first}-{last}", first, last) for first, last in pairwise(edges)),
    ]:
        groups = [(start, min(start + 7, last)) for start in range(first, last, 7)]
        ids = rows.sample_id - first
        write_table(path, METADATA, (Batch(ids[a:b], rows.label[a:b], rows.image[a:b]) for a, b in groups))
        parts += [path] if path != one else []
    whole, table = ImageTable(one), ImageTable(*parts)
    assert (table.metadata, table.samples, table.group_sizes) == (METADATA, 30, whole.group_sizes)
    np.testing.assert_array_equal(table.labels(), whole.labels())
    assert_equal(table.read(), rows)
    for index in (4, 0, 3, 1, 2, 2):
        assert_equal(table.group(index), whole.group(index))


def test_parts_that_are_empty_make_an_empty_table(tmp_path: Path) -> None:
    """No rows in any of several files is a table without rows."""
    for name in ("a", "b"):
        write_table(tmp_path / name, METADATA, [])
    table = ImageTable(tmp_path / "a", tmp_path / "b")
    assert (table.samples, table.group_sizes, list(table.batches())) == (0, (), [])
    assert table.read().image.shape == (0, 20)
    assert table.labels().shape == (0,)


def test_more_parts_than_files_may_be_open_are_read(tmp_path: Path) -> None:
    """A table keeps one of its files open at a time."""
    parts = []
    for number in range(60):
        parts.append(tmp_path / str(number))
        write_table(parts[-1], METADATA, [batch(0, 2)])
    before = len(list(Path("/dev/fd").iterdir()))
    tables = [ImageTable(*parts) for _ in range(3)]
    for table in tables:
        assert len(table.read().label) == len(table.labels()) == 120
    assert len(list(Path("/dev/fd").iterdir())) <= before + len(tables)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"shape": (5, 4)},
            "part 2 of 2 of the table: expected images of 4 x 5 .*as in the first, found images of 5 x 4",
        ),
        ({"classes": ("no", "yes", "so")}, "2 classes, as in the first, found .* 3 classes"),
        ({"classes": ("yes", "no")}, "found .* 2 classes of other names or labels"),
        ({"label_offset": 2}, "found .* 2 classes of other names or labels"),
        ({"split": "test"}, "found .* of the test split"),
    ],
)
def test_parts_of_other_images_or_classes_are_refused(tmp_path: Path, other: dict[str, Any], words: str) -> None:
    """What is put together has one shape, one split and one meaning of labels; the error says which part has not."""
    write_table(tmp_path / "a", METADATA, [])
    write_table(tmp_path / "b", TableMetadata.model_validate(METADATA.model_dump() | other), [])
    with pytest.raises(BadTable, match=words):
        ImageTable(tmp_path / "a", tmp_path / "b")


def test_empty_table(path: Path) -> None:
    """A table without rows is read as one."""
    assert write_table(path, METADATA, []).rows == 0
    assert list(ImageTable(path).batches()) == []
    assert ImageTable(path).read().image.shape == (0, 20)


def test_views_stay_valid(path: Path) -> None:
    """Pixels outlive the table that they are a view of."""
    write_table(path, METADATA, [batch(0, 7)])
    pixels = next(ImageTable(path).batches()).image
    path.unlink()
    np.testing.assert_array_equal(pixels, batch(0, 7).image)


def test_packed_pixels() -> None:
    """One chunk is viewed without a copy, a slice of one too; several are joined."""
    image = batch(0, 10).image
    whole = pa.array([row.tobytes() for row in image], pa.binary(20))
    view = packed_pixels(pa.chunked_array([whole.slice(3, 4)]), 20)
    np.testing.assert_array_equal(view, image[3:7])
    assert view.ctypes.data == whole.buffers()[1].address + 3 * 20
    joined = packed_pixels(pa.chunked_array([whole.slice(8), whole.slice(0, 3)]), 20)
    np.testing.assert_array_equal(joined, image[[8, 9, 0, 1, 2]])


def test_images_that_are_not_contiguous(path: Path) -> None:
    """A view of every other row is written as what it shows."""
    rows = batch(0, 10)
    write_table(path, METADATA, [Batch(rows.sample_id[::2], rows.label[::2], rows.image[::2])])
    np.testing.assert_array_equal(ImageTable(path).read().image, rows.image[::2])


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    """Nothing of the time, the place or the name gets into the file."""
    paths = [tmp_path / "a.parquet", tmp_path / "folder" / "b.parquet"]
    paths[1].parent.mkdir()
    for path in paths:
        write_table(path, METADATA, [batch(0, 7), batch(7, 30)])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_schema(path: Path) -> None:
    """The columns have the stated types, no nulls and no dictionaries."""
    write_table(path, METADATA, [batch(0, 7)])
    file = pq.ParquetFile(path)
    assert [(field.name, str(field.type), field.nullable) for field in file.schema_arrow] == [
        ("sample_id", "uint32", False),
        ("label", "uint16", False),
        ("image", "fixed_size_binary[20]", False),
    ]
    column = file.metadata.row_group(0).column(2)
    assert (column.compression, column.has_dictionary_page, column.statistics) == ("LZ4", False, None)


@pytest.mark.parametrize(
    "image",
    [np.zeros((3, 19), np.uint8), np.zeros((2, 20), np.uint8), np.zeros((3, 4, 5), np.uint8), np.zeros((3, 20))],
)
def test_wrong_images_are_not_written(path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Images of another shape or type than the metadata says are refused, not reinterpreted."""
    rows = batch(0, 3)
    with pytest.raises(BadTable, match=r"expected uint8 images of shape 3 x 20, found (uint8|float64) \("):
        write_table(path, METADATA, [Batch(rows.sample_id, rows.label, image)])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"<html>" * 10])
def test_not_parquet(path: Path, data: bytes) -> None:
    """A file that is not Parquet is refused by name, with the way out."""
    path.write_bytes(data)
    with pytest.raises(BadTable, match=r"^table\.parquet: expected a Parquet table, found .*--refresh parse"):
        ImageTable(path)


def test_damaged_footer(path: Path) -> None:
    """A table whose footer is damaged is refused when it is opened."""
    write_table(path, METADATA, [batch(0, 7)])
    data = bytearray(path.read_bytes())
    data[-200:-8] = bytes(192)
    path.write_bytes(data)
    with pytest.raises(BadTable, match=r"^table\.parquet: expected a Parquet table, found "):
        ImageTable(path)


@pytest.mark.parametrize("metadata", [None, {b"other": b"{}"}, {METADATA_KEY: b"{}"}, {METADATA_KEY: b"no json"}])
def test_foreign_table(path: Path, metadata: dict[bytes, bytes] | None) -> None:
    """A Parquet table without idxflow's metadata is refused."""
    pq.write_table(pa.table({"label": [1]}).replace_schema_metadata(metadata), path)
    with pytest.raises(BadTable, match="expected a table written by idxflow, with its metadata, found none"):
        ImageTable(path)


def test_an_older_table_is_read(path: Path) -> None:
    """A table whose metadata has a key that is no longer there, the data set's name, is read as it always was."""
    write_table(path, METADATA, [batch(0, 7)])
    older = {METADATA_KEY: json.dumps({"dataset": "small", **METADATA.model_dump(mode="json")})}
    pq.write_table(pq.read_table(path).replace_schema_metadata(older), path)
    table = ImageTable(path)
    assert table.metadata == METADATA
    assert_equal(table.read(), batch(0, 7))


@pytest.mark.parametrize("change", ["missing", "type", "width"])
def test_other_columns(path: Path, change: str) -> None:
    """A missing column, another type or another image width is refused with both lists of columns."""
    columns = {
        "sample_id": pa.array([0], pa.uint32()),
        "label": pa.array([0], pa.int64() if change == "type" else pa.uint16()),
        "image": pa.array([bytes(21 if change == "width" else 20)], pa.binary(21 if change == "width" else 20)),
    }
    if change == "missing":
        del columns["label"]
    pq.write_table(pa.table(columns).replace_schema_metadata(arrow_schema(METADATA).metadata), path)
    with pytest.raises(BadTable, match=r"expected columns sample_id uint32, label uint16, .*, found sample_id uint32"):
        ImageTable(path)


def test_damaged_row_group(path: Path) -> None:
    """A table whose pages are damaged is refused when it is read, with the row group's number."""
    write_table(path, METADATA, [batch(0, 5000), batch(5000, 10_000)])
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(2).data_page_offset
    data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    batches = ImageTable(path).batches()
    assert_equal(next(batches), batch(0, 5000))
    with pytest.raises(BadTable, match="expected a whole row group 1, found "):
        next(batches)
    with pytest.raises(BadTable, match="expected a whole row group 1"):
        ImageTable(path).read()


@pytest.mark.parametrize(("pixels", "rows"), [(1, 20_000), (784, 20_000), (4096, 16_384), (4096**2, 4), (2**30, 1)])
def test_rows_per_group(pixels: int, rows: int) -> None:
    """A row group holds 20,000 images, but no more than 64 MiB, and at least one."""
    assert rows_per_group(pixels) == rows


def test_two_threads_read_one_table(tmp_path: Path) -> None:
    """Row groups are read by several threads at once, each of them whole, and the process lives on."""
    program = """
import sys
from concurrent.futures import ThreadPoolExecutor
import subprocess
import sys
from pathlib import Path
import numpy as np
from schemas.image_table import Batch, ImageTable, TableMetadata, write_table
path, rows = Path(sys.argv[1]), 4000
metadata = TableMetadata(split="train", shape=(28, 28), classes=("a",))
groups = [np.full((rows, 784), value, np.uint8) for value in range(6)]
ids, labels = np.arange(rows, dtype=np.uint32), np.zeros(rows, np.uint16)
write_table(path, metadata, (Batch(ids, labels, group) for group in groups))
table = ImageTable(path)
def read(number):
    return (table.group(number % 6).image == number % 6).all()
with ThreadPoolExecutor(4) as pool:
    assert all(pool.map(read, range(600)))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "t.parquet")], cwd=PROJECT, check=True, timeout=100)


def test_a_block_is_bounded_by_bytes() -> None:
    """Small rows come as many as are wanted, large ones as many as fit, and one always does."""
    assert rows_within(2000, 4 * 784) == 2000
    assert rows_within(2000, 4 * 65_536) == 256
    assert rows_within(20_000, 4096 * 4096) == 4
    assert rows_within(20_000, 4 * 4096 * 4096) == rows_within(20_000, 2**40) == 1
