"""Parsing: shards become one table, and files that do not belong together become one clear error."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from artifacts.ref import Ref
from schemas import image_table
from schemas.datasets import TableSpec
from schemas.errors import BadIdx, BadTable, StageError
from schemas.image_spec import ImageSpec
from schemas.image_table import ImageTable
from tasks.decompress import gunzip
from tasks.formats.inflate import inflate_library
from tasks.parse import TableSummary, build_table, open_shard, parse, regroup
from tests.memory import peak_memory
from tests.tasks.idx_bytes import idx_bytes, write_idx, write_shards
from tests.tasks.refs import bind

SPEC = TableSpec(dataset="small", split="train", shape=(3, 2), classes=("a", "b", "c"))
IMAGES = np.arange(42, dtype=np.uint8).reshape(7, 3, 2)
LABELS = np.array([0, 1, 2, 2, 1, 2, 2], np.uint8)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The table that a test writes."""
    return tmp_path / "table.parquet"


def build(
    out: Path,
    spec: TableSpec = SPEC,
    images: npt.NDArray[Any] = IMAGES,
    labels: npt.NDArray[Any] = LABELS,
    cuts: tuple[int, ...] = (),
) -> TableSummary:
    """Write arrays as shards, cut at rows `cuts`, and build their table."""
    return build_table(*write_shards(out.parent, images, labels, cuts), spec, out)


def spec_with(**fields: object) -> TableSpec:
    """SPEC with other fields."""
    return TableSpec.model_validate({**SPEC.model_dump(), **fields})


def test_table_holds_what_the_files_hold(out: Path) -> None:
    """Rows keep the files' order, pixels and labels; the summary counts them."""
    summary = build(out)
    table = ImageTable(out)
    rows = table.read()
    assert rows.sample_id.tolist() == list(range(7))
    assert rows.label.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(rows.image, IMAGES.reshape(7, 6))
    assert (table.metadata.shape.array, table.metadata.classes, table.metadata.split) == (
        (3, 2),
        ("a", "b", "c"),
        "train",
    )
    size = out.stat().st_size
    per_class = {"a": 1, "b": 2, "c": 4}
    assert summary == TableSummary(content=summary.content, rows=7, shape=(3, 2), bytes=size, per_class=per_class)


def test_content_is_rows_and_meaning(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's content is that of its rows: other row groups and another data set's name leave no trace in it."""
    expected = build(out).content
    assert expected.keys() == {out.name}
    whole = out.read_bytes()
    assert build(out, spec_with(dataset="other")).content == expected
    assert out.read_bytes() == whole
    assert build(out, spec_with(classes=("a", "b", "C"))).content != expected
    monkeypatch.setattr(image_table, "ROW_GROUP", 3)
    assert build(out).content == expected
    assert out.read_bytes() != whole


COLUMNS = np.stack([LABELS + 100, LABELS, LABELS + 200], axis=1).astype(np.int32)


@pytest.mark.parametrize(
    ("labels", "fields"),
    [
        *((LABELS.astype(dtype), {}) for dtype in ("uint8", "int8", "int16", "int32")),
        (COLUMNS, {"label_column": 1}),
        *((LABELS.astype(np.int8) + np.int8(offset), {"label_offset": offset}) for offset in (-3, 1)),
    ],
    ids=["uint8", "int8", "int16", "int32", "column", "from -3", "from 1"],
)
def test_labels_become_class_indices(out: Path, labels: npt.NDArray[Any], fields: dict[str, int]) -> None:
    """Labels of every integer type, in a named column, or that begin at another number, which the metadata keeps."""
    build(out, spec_with(**fields), labels=labels)
    table = ImageTable(out)
    assert table.read().label.tolist() == LABELS.tolist()
    assert table.metadata.label_offset == fields.get("label_offset", 0)


@pytest.mark.parametrize("cuts", [(), (2, 5)])
def test_images_on_their_side(out: Path, cuts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With `transpose` rows and columns change places, and `shape` is that of the images in the table."""
    monkeypatch.setattr(image_table, "ROW_GROUP", 3)
    summary = build(out, spec_with(transpose=True, shape=(2, 3)), cuts=cuts)
    assert summary.shape == ImageTable(out).metadata.shape == ImageSpec(rows=2, columns=3)
    upright = ImageTable(out).read().image.reshape(7, 2, 3)
    assert upright[4].tolist() == [[24, 26, 28], [25, 27, 29]]
    assert all(upright[n, r, c] == IMAGES[n, c, r] for n in range(7) for r in range(2) for c in range(3))


COLOURS = np.random.default_rng(5).integers(0, 256, (7, 3, 2, 3), np.uint8)


@pytest.mark.parametrize("cuts", [(), (2, 5)])
def test_colours_are_read_as_they_are(out: Path, cuts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of rank 4 gives rows whose pixels are red, green and blue, one after the other, also from shards."""
    monkeypatch.setattr(image_table, "ROW_GROUP", 3)
    summary = build(out, spec_with(shape=[3, 2, 3]), COLOURS, cuts=cuts)
    table = ImageTable(out)
    assert summary.shape == table.metadata.shape == ImageSpec(rows=3, columns=2, channels=3)
    np.testing.assert_array_equal(table.read().image, COLOURS.reshape(7, 18))
    assert table.read().label.tolist() == LABELS.tolist()


def test_colours_on_their_side(out: Path) -> None:
    """With `transpose` rows and columns change places, and the channels of a pixel stay together."""
    build(out, spec_with(shape=[2, 3, 3], transpose=True), COLOURS)
    upright = ImageTable(out).read().image.reshape(7, 2, 3, 3)
    assert all((upright[:, r, c] == COLOURS[:, c, r]).all() for r in range(2) for c in range(3))


def test_one_channel_of_its_own_is_grey(out: Path) -> None:
    """A file with an axis for the one channel gives the bytes that one without it gives, whichever shape is said."""
    build(out)
    whole = out.read_bytes()
    for images, shape in ((IMAGES[..., np.newaxis], [3, 2]), (IMAGES, [3, 2, 1]), (IMAGES[..., np.newaxis], [3, 2, 1])):
        out.unlink()
        build(out, spec_with(shape=shape), images)
        assert out.read_bytes() == whole


def test_a_test_split_is_cut_off_colours(out: Path) -> None:
    """Colour images are cut as grey ones are: equal ones on one side, and together they are all there are."""
    images, labels = np.repeat(COLOURS, 6, axis=0), np.repeat(LABELS, 6)
    found = []
    for split in ("train", "test"):
        out.unlink(missing_ok=True)
        build(out, spec_with(shape=[3, 2, 3], split=split, test_fraction=0.3), images, labels)
        found.append(ImageTable(out).read().image.tobytes())
    assert len(found[0]) + len(found[1]) == images.size
    sides = [{part[at : at + 18] for at in range(0, len(part), 18)} for part in found]
    assert sides[0].isdisjoint(sides[1])
    assert len(sides[0] | sides[1]) == 7


@pytest.mark.parametrize("cuts", [(3,), (1, 2, 6), (4, 5), tuple(range(1, 7))])
def test_cut_into_shards_leaves_no_trace(out: Path, cuts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """However rows are spread over shards, the table's bytes are the same: row groups run on over them."""
    monkeypatch.setattr(image_table, "ROW_GROUP", 3)
    build(out)
    whole = out.read_bytes()
    assert [len(batch.label) for batch in ImageTable(out).batches()] == [3, 3, 1]
    out.unlink()
    build(out, cuts=cuts)
    assert out.read_bytes() == whole


@pytest.mark.parametrize("sizes", [(), (5,), (2, 2), (1, 1, 1), (4, 3), (10, 1), (3, 7, 2)])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_regroup(sizes: tuple[int, ...], rows: int) -> None:
    """Arrays of any lengths become arrays of one length, the last one shorter, in the same order."""
    stream = np.arange(sum(sizes))
    groups = list(regroup(np.split(stream, np.cumsum(sizes)[:-1]) if sizes else [], rows))
    assert [item for group in groups for item in group.tolist()] == stream.tolist()
    assert [len(group) for group in groups[:-1]] == [rows] * (len(groups) - 1)
    assert all(0 < len(group) <= rows for group in groups)


@pytest.mark.parametrize(
    ("fields", "images", "labels", "message"),
    [
        ({}, IMAGES.astype(np.int8), LABELS, "uint8 images of shape n x 3 x 2, found int8 of shape 7 x 3 x 2"),
        ({}, IMAGES.transpose(0, 2, 1), LABELS, "n x 3 x 2, found uint8 of shape 7 x 2 x 3"),
        ({}, IMAGES.reshape(7, 6), LABELS, "n x 3 x 2, found uint8 of shape 7 x 6"),
        ({}, IMAGES, LABELS.astype(np.float32), "^labels-0: expected integer labels, found float32 of shape 7"),
        ({}, IMAGES, LABELS.astype(np.float64), "expected integer labels, found float64"),
        ({}, IMAGES, np.stack([LABELS, LABELS], 1), "since no label_column is set, found uint8 of shape 7 x 2"),
        ({"label_column": 0}, IMAGES, LABELS, "with a column 0, found uint8 of shape 7"),
        ({"label_column": 2}, IMAGES, np.stack([LABELS, LABELS], 1), "with a column 2, found uint8 of shape 7 x 2"),
        ({}, COLOURS, LABELS, "n x 3 x 2, found uint8 of shape 7 x 3 x 2 x 3"),
        ({"shape": [3, 2, 3]}, IMAGES, LABELS, "n x 3 x 2 x 3, found uint8 of shape 7 x 3 x 2"),
        ({"shape": [3, 2, 3]}, LABELS, COLOURS, r"expected images \(rank 4\).* ranks 1 and 4\. They look exchanged"),
        ({}, IMAGES[:5], LABELS, "^images-0 and labels-0: expected a label for each of 5 images, found 7 labels"),
        ({"samples": 8}, IMAGES, LABELS, "^small train: expected 8 images, as published, found 7"),
        (
            {},
            LABELS,
            IMAGES,
            r"^images-0 and labels-0: expected images \(rank 3\).* ranks 1 and 3\. They look exchanged",
        ),
    ],
)
def test_files_that_are_not_what_the_catalog_says(
    out: Path, fields: dict[str, object], images: npt.NDArray[Any], labels: npt.NDArray[Any], message: str
) -> None:
    """A wrong type, shape, column or number, or exchanged files, are named before a table is begun."""
    with pytest.raises(BadTable, match=message):
        build(out, spec_with(**fields), images, labels)
    assert not out.exists()


@pytest.mark.parametrize(
    ("fields", "images", "way_out"),
    [
        ({}, IMAGES.reshape(7, 2, 3), "Set shape = [2, 3] in own.toml, or add transpose = true if its images lie on"),
        ({}, np.zeros((7, 5, 4), np.uint8), "Set shape = [5, 4] in own.toml."),
        ({"transpose": True}, IMAGES, "Set shape = [2, 3] in own.toml."),
        ({"transpose": True}, np.zeros((7, 5, 4), np.uint8), "Set shape = [4, 5] in own.toml."),
        ({}, IMAGES.astype(np.float32), "Write the pixels as uint8, from 0 to 255."),
        ({}, IMAGES.reshape(7, 6), "Write grey images, n x 3 x 2."),
        ({}, COLOURS, "Set shape = [3, 2, 3] in own.toml: its images are in colour."),
        ({}, np.zeros((7, 5, 4, 3), np.uint8), "Set shape = [5, 4, 3] in own.toml: its images are in colour."),
        ({"transpose": True}, COLOURS, "Set shape = [2, 3, 3] in own.toml: its images are in colour."),
        ({"shape": [3, 2, 3]}, IMAGES, "Set shape = [3, 2] in own.toml: its images are grey."),
        ({"shape": [3, 2, 3]}, IMAGES[..., np.newaxis], "Set shape = [3, 2] in own.toml: its images are grey."),
        ({"shape": [2, 3, 3]}, COLOURS, "Set shape = [3, 2, 3] in own.toml, or add transpose = true if its images"),
        ({"shape": [3, 2, 3]}, np.zeros((7, 5, 4, 3), np.uint8), "Set shape = [5, 4, 3] in own.toml."),
        (
            {"shape": [5, 4, 3]},
            np.zeros((7, 3, 5, 4), np.uint8),
            "Write channels last, n x 5 x 4 x 3: `images.transpose(0, 2, 3, 1)` in NumPy.",
        ),
        (
            {"shape": [5, 2, 3]},
            np.zeros((7, 5, 2, 4), np.uint8),
            "Leave out the opacity, the last of four channels: write n x 5 x 2 x 3.",
        ),
        ({"shape": [3, 2, 3]}, COLOURS.reshape(7, 18), "Write colour images, n x 3 x 2 x 3."),
        ({}, np.zeros((7, 5, 5, 2), np.uint8), "Write grey images, n x 3 x 2."),
        ({}, np.zeros((7, 5000, 1), np.uint8), "Set shape = [5000, 1] in own.toml."),
        ({}, IMAGES[:6], "Name two files in own.toml that belong together, row by row."),
        ({"samples": 6}, IMAGES, "Correct samples below [train] of own.toml, or its files."),
    ],
)
def test_ways_out_of_an_own_set(out: Path, fields: dict[str, object], images: npt.NDArray[Any], way_out: str) -> None:
    """What is wrong with files of one's own names the option or the description to correct, never the catalog."""
    with pytest.raises(BadTable) as caught:
        build(out, spec_with(described_in="own.toml", **fields), images)
    assert caught.value.way_out.startswith(way_out)
    with pytest.raises(BadTable, match=r"Bring the published files with --mirror\.$"):
        build(out, spec_with(**fields), images)


@pytest.mark.parametrize("which", [0, 1], ids=["images", "labels"])
def test_one_bad_byte_anywhere_in_a_header(tmp_path: Path, which: int) -> None:
    """Every other value of every header byte of an image or label file is refused, but for int8 labels."""
    data = [idx_bytes(IMAGES), idx_bytes(LABELS)]
    paths = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    for path, whole in zip(paths, data, strict=True):
        path.write_bytes(whole)
    open_shard(*paths, SPEC)
    with paths[which].open("r+b", buffering=0) as file:
        for at in range((16, 8)[which]):
            for value in set(range(256)) - {data[which][at]} - ({0x09} if (which, at) == (1, 2) else set()):
                file.seek(at)
                file.write(bytes([value]))
                with pytest.raises(StageError, match=r"expected .*, found .*"):
                    open_shard(*paths, SPEC)
            file.seek(at)
            file.write(data[which][at : at + 1])
    open_shard(*paths, SPEC)


def test_malformed_file(out: Path) -> None:
    """A half-written file is the reader's error, with its name."""
    images, labels = write_shards(out.parent, IMAGES, LABELS)
    images[0].write_bytes(images[0].read_bytes()[:-1])
    with pytest.raises(BadIdx, match=r"^images-0, body from byte 16"):
        build_table(images, labels, SPEC, out)


def test_memory_does_not_grow_with_the_table(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight times the rows take the same memory."""
    monkeypatch.setattr(image_table, "ROW_GROUP", 500)
    spec = spec_with(shape=(20, 20))
    peaks: list[int] = []
    for rows in (2_000, 16_000):
        paths = write_shards(out.parent, np.zeros((rows, 20, 20), np.uint8), np.zeros(rows, np.uint8))
        limit = peaks[0] + 400_000 if peaks else 0
        peaks.append(peak_memory(partial(build_table, *paths, spec, out), limit=limit))
    assert peaks[1] < limit


def test_stage_joins_its_references(tmp_path: Path) -> None:
    """The stage reads each shard's artifact and leaves one table."""

    def ref(name: str, array: npt.NDArray[Any]) -> Ref:
        found = bind("decompress", tmp_path / name, name)
        write_idx(tmp_path / name / name, array)
        return found

    out = tmp_path / "out"
    out.mkdir()
    images, labels = [ref("i0", IMAGES[:4]), ref("i1", IMAGES[4:])], [ref("l0", LABELS[:4]), ref("l1", LABELS[4:])]
    with pytest.raises(BadTable, match=r"^l0 and 1 more: expected labels 5 to 7"):
        parse.function(images=images, labels=labels, spec=spec_with(label_offset=5), out=out)
    summary = parse.function(images=images, labels=labels, spec=SPEC, out=out)
    assert isinstance(summary, TableSummary) and summary.rows == 7
    assert [path.name for path in out.iterdir()] == ["table.parquet"]
    np.testing.assert_array_equal(ImageTable(out / "table.parquet").read().image, IMAGES.reshape(7, 6))


@pytest.mark.mnist
def test_genuine_mnist(mnist_files: Path, tmp_path: Path) -> None:
    """The MNIST train table has the published class counts and first labels, and is the same when built again."""
    paths = [tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"]
    for path in paths:
        gunzip(mnist_files / f"{path.name}.gz", path, None, inflate_library(), "x.gz")
    spec = TableSpec(dataset="mnist", split="train", shape=(28, 28), classes=tuple("0123456789"), samples=60_000)
    tables = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    summaries = [build_table(paths[:1], paths[1:], spec, table) for table in tables]
    assert list(summaries[0].per_class.values()) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    rows = ImageTable(tables[0]).read()
    assert rows.label[:3].tolist() == [5, 0, 4]
    assert rows.image.tobytes() == paths[0].read_bytes()[16:]
