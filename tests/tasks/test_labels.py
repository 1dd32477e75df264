"""Labels: how stored labels become class indices, and what is said of those that do not."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from schemas.datasets import TableSpec
from schemas.errors import BadTable
from schemas.image_table import ImageTable
from tasks.formats import labels as module
from tasks.formats.idx import open_idx
from tasks.formats.labels import LabelFile, class_indices, is_one_hot
from tasks.parse import build_table
from tests.memory import peak_memory
from tests.tasks.idx_bytes import write_idx, write_shards

ROWS = 60


def spec_of(classes: int = 4, **fields: object) -> TableSpec:
    """What the train split of a set of one's own has to be."""
    names = tuple(f"class {at}" for at in range(classes))
    own = {"dataset": "leaves", "split": "train", "shape": (2, 2), "described_in": "leaves.toml", "classes": names}
    return TableSpec.model_validate(own | fields)


def table_of(folder: Path, labels: npt.NDArray[Any], spec: TableSpec, cuts: tuple[int, ...] = ()) -> list[int]:
    """Build the table of these labels, in files cut at rows `cuts`. Returns: its class indices."""
    images, stored = write_shards(folder, np.zeros((len(labels), 2, 2), np.uint8), labels, cuts)
    names = [(f"images-{at}.gz", f"labels-{at}.gz") for at in range(len(images))]
    out = folder / "table.parquet"
    build_table(images, stored, spec, out, names)
    table = ImageTable(out)
    assert (table.metadata.label_offset, table.metadata.label_values) == (spec.label_offset, spec.label_values)
    return [int(label) for label in table.read().label]


def cycle(*values: int, dtype: str = "int32") -> npt.NDArray[Any]:
    """These labels in turn, 60 in all."""
    return np.resize(np.array(values), ROWS).astype(dtype)


def one_hot(classes: int = 4, dtype: str = "uint8") -> npt.NDArray[Any]:
    """One-hot labels of every class in turn."""
    return np.eye(classes, dtype=dtype)[np.arange(ROWS) % classes]


@pytest.mark.parametrize("values", [(-1, 1), (1, -1), (0, 255), (7, 3, 5), (30, 10, 20, 0), (2**31 - 1, -(2**31))])
def test_label_values(tmp_path: Path, values: tuple[int, ...]) -> None:
    """Stored labels become the places that they have in `label_values`, whatever their order and gaps."""
    found = table_of(tmp_path, cycle(*values), spec_of(len(values), label_values=values), cuts=(7,))
    assert found == [row % len(values) for row in range(ROWS)]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_one_hot_labels(tmp_path: Path, dtype: str) -> None:
    """The column of the 1 is the class, in files of every type."""
    assert table_of(tmp_path, one_hot(5, dtype), spec_of(5, labels="one-hot"), cuts=(11,)) == [
        r % 5 for r in range(ROWS)
    ]


def test_labels_of_one_column(tmp_path: Path) -> None:
    """Labels of shape n x 1 are labels of shape n, with `label_column = 0` and without."""
    assert table_of(tmp_path, cycle(0, 1, 2, 3)[:, None], spec_of()) == [row % 4 for row in range(ROWS)]
    assert table_of(tmp_path, cycle(0, 1, 2, 3)[:, None], spec_of(label_column=0)) == [row % 4 for row in range(ROWS)]


@pytest.mark.parametrize(
    ("classes", "labels", "fields", "found", "way_out"),
    [
        (4, cycle(1, 2, 3, 4), {}, "1 to 4", "Add label_offset = 1 to leaves.toml."),
        (4, cycle(1, 2, 4), {}, "1, 2 and 4", "Add label_offset = 1 to leaves.toml."),
        (4, cycle(-2, -1, 0, 1), {}, "-2 to 1", "Add label_offset = -2 to leaves.toml."),
        (
            4,
            cycle(1, 2, 3, 4),
            {"split": "test"},
            "1 to 4",
            "Add label_offset = 1 to leaves.toml; below [test] if that holds for the test labels only.",
        ),
        (
            4,
            cycle(0, 1, 2, 3),
            {"split": "test", "label_offset": 1},
            "0 to 3",
            "Set label_offset = 0 in leaves.toml; below [test] if that holds for the test labels only.",
        ),
        (4, cycle(2, 3, 4), {}, "2 to 4", 'Add label_offset = 1 and checks.missing_class = "warn" to leaves.toml.'),
        (2, cycle(-1, 1), {}, "-1 and 1", "Add label_values = [-1, 1] to leaves.toml."),
        (2, cycle(0, 255, dtype="uint8"), {}, "0 and 255", "Add label_values = [0, 255] to leaves.toml."),
        (4, cycle(30, 0, 10, 20), {}, "0, 10, 20 and 30", "Add label_values = [0, 10, 20, 30] to leaves.toml."),
        (
            2,
            cycle(0, 1),
            {"label_values": (-1, 1)},
            "0 to 1",
            "Take label_values out of leaves.toml, or write it below [test] only.",
        ),
        (
            2,
            cycle(0, 9),
            {"label_values": (-1, 1)},
            "0 and 9",
            "Set label_values = [0, 9] in leaves.toml; below [train] if that holds for the train labels only.",
        ),
        (4, cycle(0, 9), {}, "0 and 9", "Add label_values, the stored label of each of the 4 classes, to leaves.toml."),
        (
            4,
            cycle(*range(5)),
            {},
            "0 to 4: 12 of 60 outside (sample 4 is 4, sample 9 is 4, sample 14 is 4, "
            "sample 19 is 4, sample 24 is 4, ...)",
            "Name all 5 classes in leaves.toml.",
        ),
        (
            4,
            np.append(cycle(0, 1, 2, 3), 99).astype(np.uint8),
            {},
            "0, 1, 2, 3 and 99: 1 of 61 outside (sample 60 is 99)",
            "Correct those labels, or name all 5 classes in leaves.toml, with label_values.",
        ),
        (
            4,
            cycle(0, 2**24, 2 * 2**24, 3 * 2**24),
            {},
            "0 to 50331648, all multiples of 2^24: written in the wrong byte order",
            "Write them with the highest byte first, as by labels.astype('>i4'), or as uint8.",
        ),
        (
            4,
            np.arange(4 * ROWS, dtype=np.int32),
            {},
            "0 to 239: 236 of 240 outside (sample 4 is 4, sample 5 is 5, sample 6 is 6, "
            "sample 7 is 7, sample 8 is 8, ...)",
            "Bring the file that belongs here: these are no classes.",
        ),
        (
            4,
            one_hot() * 255,
            {"labels": "one-hot"},
            "60 of 60 rows that are not so (sample 0 is 255, 0, 0, 0)",
            "Correct these rows.",
        ),
    ],
)
def test_labels_outside_of_the_classes(
    tmp_path: Path, classes: int, labels: npt.NDArray[Any], fields: dict[str, Any], found: str, way_out: str
) -> None:
    """The file and the range found are named, with the one option that fits; with that option they are read."""
    with pytest.raises(BadTable) as caught:
        table_of(tmp_path, labels, spec_of(classes, **fields))
    error = caught.value
    assert (error.subject, error.found, error.way_out) == ("labels-0.gz", found, way_out)
    assert not (tmp_path / "table.parquet").exists()
    if option := re.match(r"(?:Add|Set) (label_\w+) = (-?\d+|\[[^\]]+\])", way_out):
        value: Any = [int(one) for one in option[2].strip("[]").split(", ")]
        said = fields | {option[1]: value if option[2].startswith("[") else value[0]}
        assert set(table_of(tmp_path, labels, spec_of(classes, **said))) <= set(range(classes))


def test_the_file_with_the_wrong_labels_is_named(tmp_path: Path) -> None:
    """Of several files the first with a wrong label is the subject, and the samples are counted over all of them."""
    labels = cycle(0, 1, 2, 3)
    labels[[25, 50]] = 8
    with pytest.raises(
        BadTable, match=r"^labels-1.gz and 1 more: .* 2 of 60 outside \(sample 25 is 8, sample 50 is 8\)"
    ):
        table_of(tmp_path, labels, spec_of(), cuts=(20, 40))


def test_a_blank_row_makes_one_hot_labels_no_numbers(tmp_path: Path) -> None:
    """A column of them is refused also where one row of sixty is blank; three columns of yes and no are not."""
    labels = one_hot()
    labels[7] = 0
    with pytest.raises(BadTable, match="found one-hot labels"):
        table_of(tmp_path, labels, spec_of(label_column=1))
    flags = np.random.default_rng(5).integers(0, 2, (60, 3), np.uint8)
    assert len(table_of(tmp_path, flags, spec_of(2, label_column=1))) == 60


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_one_hot_labels_are_recognised(tmp_path: Path, dtype: str) -> None:
    """Without the option the message names it; a column of theirs says nothing of the others and is refused."""
    with pytest.raises(BadTable, match=rf"found one-hot labels, {dtype} of shape 60 x 4\. Add labels = .one-hot. to l"):
        table_of(tmp_path, one_hot(dtype=dtype), spec_of())
    message = "of which column 1 only says yes or no to one class. Write labels = .one-hot. in place of label_column in"
    with pytest.raises(BadTable, match=message):
        table_of(tmp_path, one_hot(dtype=dtype), spec_of(label_column=1))
    with pytest.raises(BadTable, match=r"Name all 4 classes in leaves\.toml\."):
        table_of(tmp_path, one_hot(dtype=dtype), spec_of(3, labels="one-hot"))


@pytest.mark.parametrize(
    ("row", "value"),
    [(3, [1, 1, 0, 0]), (3, [0, 0, 0, 0]), (3, [0, 2, 0, 0]), (3, [1, 0, -1, 0]), (59, [0.5, 0.5, 0, 0])],
)
def test_a_row_that_is_not_one_hot(tmp_path: Path, row: int, value: list[float]) -> None:
    """Two ones, none, or anything beside them is refused by sample, never taken for the largest."""
    labels = one_hot(dtype="float64")
    labels[row] = value
    shown = ", ".join(f"{one:g}" for one in value)
    with pytest.raises(BadTable, match=rf"1 of 60 rows that are not so \(sample {row} is {re.escape(shown)}\)"):
        table_of(tmp_path, labels, spec_of(labels="one-hot"), cuts=(30,))
    recognised = is_one_hot(LabelFile("labels", open_idx(tmp_path / f"labels-{row // 30}")))
    assert recognised == (set(value) <= {0, 1})  # a few rows are wrong: it is what they are meant for


def test_a_column_of_other_labels_is_taken(tmp_path: Path) -> None:
    """Labels in columns that are not one-hot are read by `label_column`, though one row looks so."""
    labels = np.stack([cycle(0, 1), cycle(1, 0), cycle(0, 0, 5)], axis=1)
    assert table_of(tmp_path, labels, spec_of(2, label_column=0)) == [row % 2 for row in range(ROWS)]


@pytest.mark.parametrize(
    ("labels", "fields", "message"),
    [
        (
            cycle(0, 1),
            {"labels": "one-hot"},
            'Take labels = "one-hot" out of leaves.toml, or write it below [test] only.',
        ),
        (cycle(0, 1), {"label_column": 0}, "Take label_column out of leaves.toml, or write it below [test] only."),
        (
            cycle(0, 1).reshape(-1, 1),
            {"label_column": 3},
            "Take label_column out of leaves.toml, or write it below [te",
        ),
        (cycle(0, 3).reshape(-1, 3), {}, "Say which column is the label: label_column = 0 to 2, in leaves.toml."),
        (
            cycle(0, 3).reshape(-1, 3),
            {"label_column": 3},
            "Set label_column to 0 to 2 in leaves.toml; below [train] if",
        ),
        (cycle(0, 1, dtype="float32"), {}, "Write them as integers, as by labels.astype('uint8')."),
    ],
)
def test_labels_of_another_form(tmp_path: Path, labels: npt.NDArray[Any], fields: dict[str, Any], message: str) -> None:
    """A label file of another type or shape is refused with the option to set or to take out."""
    with pytest.raises(BadTable) as caught:
        table_of(tmp_path, labels, spec_of(**fields))
    assert caught.value.way_out.startswith(message)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_that_is_cut_off_says_nothing_of_its_own(tmp_path: Path, split: str) -> None:
    """Where both splits are of the same files, an option stands at the top, and no message names a split."""
    cut: dict[str, Any] = {"split": split, "test_fraction": 0.2}
    tried: list[tuple[npt.NDArray[Any], dict[str, Any], str]] = [
        (cycle(1, 2, 3, 4), {}, "Add label_offset = 1 to leaves.toml."),
        (cycle(0, 1, 2, 3), {"label_offset": 1}, "Set label_offset = 0 in leaves.toml."),
        (cycle(0, 1, 2, 3), {"label_column": 1}, "Take label_column out of leaves.toml."),
    ]
    for labels, said, way_out in tried:
        with pytest.raises(BadTable) as caught:
            table_of(tmp_path, labels, spec_of(**cut, **said))
        assert caught.value.way_out == way_out


def test_wide_one_hot_labels_of_images_on_their_side_are_cut_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels read in shorter blocks than their images stay with them, also where a test split is cut off."""
    monkeypatch.setattr(module, "NUMBERS", 64)
    labels = np.arange(ROWS) % 20
    images = np.zeros((ROWS, 3, 2), np.uint8)
    images[:, 2, 0], images[:, 0, 1] = labels, np.arange(ROWS)
    paths = write_shards(tmp_path, images, np.eye(20, dtype=np.uint8)[labels])
    rows = 0
    for split in ("train", "test"):
        spec = spec_of(20, split=split, test_fraction=0.3, labels="one-hot", transpose=True, shape=(2, 3))
        build_table(*paths, spec, tmp_path / "table.parquet")
        batch = ImageTable(tmp_path / "table.parquet").read()
        assert batch.image.reshape(-1, 2, 3)[:, 0, 2].tolist() == batch.label.tolist()
        rows += len(batch.label)
    assert rows == ROWS


def test_a_catalog_set_is_not_to_be_edited(tmp_path: Path) -> None:
    """About a set of the catalog no option is proposed: its description is not the user's."""
    for labels in (cycle(1, 2, 3, 4), cycle(-1, 1), one_hot()):
        with pytest.raises(BadTable, match=r"\. Bring the published files with --mirror\.$"):
            table_of(tmp_path, labels, spec_of(described_in=""))


def read_rows(file: LabelFile, spec: TableSpec, rows: int) -> None:
    """Read so many labels, block by block."""
    assert sum(len(block) for block in class_indices(file, spec, rows)) == rows


def test_wide_labels_take_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block has as many numbers whatever the columns: one-hot labels of 400 classes are read as flat as of 4."""
    monkeypatch.setattr(module, "NUMBERS", 2**12)
    peaks: list[int] = []
    for classes in (4, 400):
        path = write_idx(tmp_path / "labels", np.eye(classes, dtype=np.uint8)[np.arange(20_000) % classes])
        file, spec = LabelFile("labels", open_idx(path)), spec_of(classes, labels="one-hot")
        limit = 2 * peaks[0] if peaks else 0
        peaks.append(peak_memory(partial(read_rows, file, spec, 20_000), limit=limit))
    assert peaks[1] < limit
