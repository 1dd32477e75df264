"""The digest of a table's content: its rows and its meaning, and nothing of how a library wrote them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import content as module
from schemas.content import TableWriter, array_content
from schemas.image_spec import ImageSpec
from schemas.image_table import Batch, TableMetadata, write_table

METADATA = TableMetadata(split="train", shape=(4, 5), classes=("no", "yes"), label_offset=1)
ROWS = 300
SCHEMA = pa.schema([pa.field("split", pa.string(), nullable=False), pa.field("loss", pa.float32(), nullable=False)])


def rows() -> Batch:
    """Noise with labels."""
    ids = np.arange(ROWS, dtype=np.uint32)
    image = np.random.default_rng(3).integers(0, 256, (ROWS, 20), np.uint8)
    return Batch(ids, (ids % 2).astype(np.uint16), image)


def cut(whole: Batch, size: int) -> Iterator[Batch]:
    """Cut a batch into smaller ones."""
    for start in range(0, len(whole.label), size):
        part = slice(start, start + size)
        yield Batch(whole.sample_id[part], whole.label[part], whole.image[part])


def table_content(folder: Path, whole: Batch, size: int = ROWS, metadata: TableMetadata = METADATA) -> str:
    """Write a table and return the digest of its content."""
    return write_table(folder / "table.parquet", metadata, cut(whole, size)).content


def scores(*splits: str) -> pa.Table:
    """Return a table of texts and floats."""
    return pa.table([pa.array(splits), pa.array(np.arange(len(splits)), pa.float32())], schema=SCHEMA)


def written(path: Path, *parts: pa.Table, compression: str = "zstd", dictionary: bool = False) -> str:
    """Write parts as row groups and return the digest of the content."""
    with TableWriter(path, SCHEMA, compression=compression, use_dictionary=dictionary) as writer:
        for part in parts:
            writer.write(part)
    return writer.content


def test_how_rows_are_grouped_is_not_content(tmp_path: Path) -> None:
    """The same rows in other row groups are other bytes and the same content."""
    contents, files = set(), set()
    for size in (ROWS, 7, 100, 299):
        contents.add(table_content(tmp_path, rows(), size))
        files.add((tmp_path / "table.parquet").read_bytes())
    assert (len(contents), len(files)) == (1, 4)


def test_how_bytes_are_packed_is_not_content(tmp_path: Path) -> None:
    """Compression, dictionaries, and slices of larger tables leave no trace in the content."""
    path, whole = tmp_path / "x.parquet", scores("train", "train", "tést", "", "test")
    expected = written(path, whole)
    packed = path.read_bytes()
    assert written(path, whole, compression="lz4", dictionary=True) == expected
    assert path.read_bytes() != packed
    assert written(path, whole.slice(0, 2), whole.slice(2, 0), whole.slice(2)) == expected
    assert pq.read_table(path).equals(whole)


def test_content_is_what_is_documented(tmp_path: Path) -> None:
    """The digest follows from its description alone: a reader in another language would come to the same one."""
    data = rows()
    digests = [hashlib.sha256(column.tobytes()).hexdigest() for column in (data.sample_id, data.label, data.image)]
    columns = [["sample_id", "<u4"], ["label", "<u2"], ["image", "bytes[20]"]]
    meaning = {"split": "train", "shape": [4, 5], "classes": ["no", "yes"], "label_offset": 1}
    value = {
        "columns": [[*column, digest] for column, digest in zip(columns, digests, strict=True)],
        "meaning": meaning,
        "rows": ROWS,
    }
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    assert table_content(tmp_path, data) == hashlib.sha256(canonical).hexdigest()


def changed_pixel(data: Batch) -> Batch:
    """Change one pixel by one."""
    image = data.image.copy()
    image[123, 4] ^= 1
    return replace(data, image=image)


def changed_label(data: Batch) -> Batch:
    """Change one label."""
    label = data.label.copy()
    label[299] = 0
    return replace(data, label=label)


def changed_order(data: Batch) -> Batch:
    """Exchange two rows, but for their ids."""
    order = np.arange(ROWS)
    order[[10, 12]] = order[[12, 10]]
    return replace(data, image=data.image[order], label=data.label[order])


def changed_number(data: Batch) -> Batch:
    """Leave the last row out."""
    return next(cut(data, ROWS - 1))


@pytest.mark.parametrize("change", [changed_pixel, changed_label, changed_order, changed_number])
def test_other_rows_are_other_content(tmp_path: Path, change: Callable[[Batch], Batch]) -> None:
    """One pixel, one label, the order and the number of rows are content."""
    assert table_content(tmp_path, change(rows())) != table_content(tmp_path, rows())


@pytest.mark.parametrize(
    "change",
    [
        {"split": "test"},
        {"shape": ImageSpec(rows=5, columns=4)},
        {"classes": ("no", "Yes")},
        {"label_offset": 0},
        {"label_values": (3, 5)},
    ],
)
def test_another_meaning_is_other_content(tmp_path: Path, change: dict[str, object]) -> None:
    """The same rows of another split, shape, class names, offset or label values are another table."""
    other = METADATA.model_copy(update=change)
    assert table_content(tmp_path, rows(), metadata=other) != table_content(tmp_path, rows())


def test_numbers_of_every_type(tmp_path: Path) -> None:
    """A column of each type of number is hashed as its values, and two types with equal values are two contents."""
    contents = set()
    for kind in ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64"):
        whole = pa.table({"x": pa.array(np.arange(9, dtype=kind))})
        with TableWriter(tmp_path / "x.parquet", whole.schema, compression="lz4") as writer:
            writer.write(whole.slice(0, 4))
            writer.write(whole.slice(4))
        little = np.arange(9).astype(np.dtype(kind).newbyteorder("<"))
        columns = [["x", little.dtype.str, hashlib.sha256(little.tobytes()).hexdigest()]]
        value = json.dumps({"columns": columns, "meaning": {}, "rows": 9}, separators=(",", ":"))
        assert writer.content == hashlib.sha256(value.encode()).hexdigest()
        contents.add(writer.content)
    assert len(contents) == 10


def test_texts_do_not_run_into_each_other(tmp_path: Path) -> None:
    """Where one text ends and the next one begins is content."""
    path = tmp_path / "x.parquet"
    assert written(path, scores("ab", "c")) != written(path, scores("a", "bc"))
    assert written(path, scores("", "a")) != written(path, scores("a", ""))


def test_an_error_of_the_thread_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong while rows are hashed ends the writing; no digest of a part of them is given."""

    def broken(_: object, __: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module._Column, "add", broken)
    with pytest.raises(MemoryError), TableWriter(tmp_path / "x.parquet", SCHEMA, compression="lz4") as writer:
        writer.write(scores("a"))
    assert not writer.content


def test_an_error_of_the_caller_leaves_no_thread(tmp_path: Path) -> None:
    """A batch that fails ends the writing with its own error; no content is given, and no thread stays."""
    writer = TableWriter(tmp_path / "x.parquet", SCHEMA, compression="lz4")
    with pytest.raises(ZeroDivisionError), writer:
        writer.write(scores("a"))
        1 / 0  # noqa: B018
    assert not writer.content
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hashing")]


def test_few_row_groups_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where hashing is slower than writing, the writer waits for it: memory does not grow with the table."""
    hashing, hashed = threading.Semaphore(0), module.TableWriter._hash
    monkeypatch.setattr(module.TableWriter, "_hash", lambda *given: (hashing.acquire(), hashed(*given))[1])
    given: list[int] = []

    def write() -> None:
        with TableWriter(tmp_path / "x.parquet", SCHEMA, compression="lz4") as writer:
            for number in range(6):
                writer.write(scores("a"))
                given.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    while len(given) < module.WAITING:
        thread.join(0.01)
    thread.join(0.1)
    assert len(given) == module.WAITING
    hashing.release(6)
    thread.join(10)
    assert len(given) == 6


def test_content_of_an_array() -> None:
    """Byte order and layout are not an array's content; shape, type and values are."""
    array = np.arange(6, dtype="<f8").reshape(2, 3)
    expected = array_content(array)
    assert array_content(np.asfortranarray(array)) == array_content(array.astype(">f8")) == expected
    others = (array.reshape(3, 2), array.astype("<f4"), array + np.eye(2, 3))
    assert len({expected, *map(array_content, others)}) == 4
