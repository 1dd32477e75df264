"""Places that hold rows: tables of pixels, arrays, IDX files, in a folder or an archive; which file is which part."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from artifacts.engine.execution import Execution
from artifacts.store.store import Store
from flows.own_source import own_dataset
from schemas.errors import BadSource
from schemas.source import FILES, IMAGES, LABELS, Choices
from tasks.formats.idx import open_idx
from tasks.formats.ledger import Row, read_ledger
from tasks.formats.parts import NO_VALIDATION, NOT_THIS
from tasks.pack import PackSummary, pack
from tests.tasks.idx_bytes import idx_bytes

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
RUN = "0" * 12
NAMES = ("2", "7", "11")
"""Classes, in label order: as numbers, and not as text."""


def drawn(rows: int, seed: int = 1, shape: tuple[int, ...] = (4, 4)) -> tuple[Pixels, list[str]]:
    """Draw images, and their labels as text."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (rows, *shape), np.uint8), [NAMES[at % 3] for at in range(rows)]


def table(images: Pixels, labels: list[str], separator: str = ",") -> bytes:
    """Write a table with a header."""
    pixels = images.reshape(len(images), -1)
    head = ["label", *(f"pixel{at}" for at in range(pixels.shape[1]))]
    rows = ([label, *map(str, row)] for label, row in zip(labels, pixels.tolist(), strict=True))
    return "".join(f"{separator.join(cells)}\n" for cells in (head, *rows)).encode()


def idx_pair(name: str, images: Pixels, labels: list[str]) -> dict[str, bytes]:
    """Write an image and a label file as MNIST calls them."""
    numbers = np.array(labels, np.int64).astype(np.uint8)
    return {f"{name}-images-idx3-ubyte": idx_bytes(images), f"{name}-labels-idx1-ubyte": idx_bytes(numbers)}


def npz(**arrays: object) -> bytes:
    """Write arrays as an .npz."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def idx_files(pack_file: Callable[[bytes], bytes] = bytes, suffix: str = "") -> dict[str, bytes]:
    """Write both parts as IDX files."""
    files = {**idx_pair("train", *drawn(30)), **idx_pair("t10k", *drawn(12, 2))}
    return {f"{name}{suffix}": pack_file(data) for name, data in files.items()}


def npz_files() -> dict[str, bytes]:
    """Write both parts as one .npz."""
    (x_train, y_train), (x_test, y_test) = drawn(30), drawn(12, 2)
    labels = {"y_train": np.array(y_train, np.int64), "y_test": np.array(y_test, np.int64)}
    return {"set.npz": npz(x_train=x_train, x_test=x_test, **labels)}


FORMS: Mapping[str, Callable[[], dict[str, bytes]]] = {
    "csv": lambda: {"mnist_train.csv": table(*drawn(30)), "mnist_test.csv": table(*drawn(12, 2))},
    "tsv": lambda: {"train.tsv": table(*drawn(30), "\t"), "test.tsv": table(*drawn(12, 2), "\t")},
    "csv.gz": lambda: {f"{name}.csv.gz": gzip.compress(table(*drawn(*given)))
                       for name, given in (("train", (30,)), ("test", (12, 2)))},
    "npz": npz_files,
    "idx": idx_files,
    "idx gz": lambda: idx_files(gzip.compress, ".gz"),
    "idx xz": lambda: idx_files(lzma.compress, ".xz"),
}  # fmt: skip


def in_folder(place: Path, files: Mapping[str, bytes]) -> Path:
    """Put files into a folder."""
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def in_zip(place: Path, files: Mapping[str, bytes]) -> Path:
    """Put files into a zip, the last first, below a folder."""
    path = place.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in reversed(list(files.items())):
            archive.writestr(f"inner/{name}", data)
    return path


def in_tar(place: Path, files: Mapping[str, bytes]) -> Path:
    """Put files into a compressed tar, the last first."""
    path = place.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, data in reversed(list(files.items())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")


def packed(store: Store, place: Path, **choices: object) -> tuple[PackSummary, Path]:
    """Pack a place."""
    source = own_dataset(store, place, "set", Choices.model_validate(choices)).packed
    assert source is not None
    done = Execution(store, RUN, "", pack, {"source": source})()
    manifest = store.manifest("pack", done.row.version)
    assert manifest is not None
    return PackSummary.model_validate(manifest.summary), store.folder("pack", done.row.version)


def rows_of(folder: Path, part: str) -> tuple[Pixels, list[int]]:
    """Read the images and labels of a part."""
    images, labels = (open_idx(folder / form.format(part)).read() for form in (IMAGES, LABELS))
    return images, labels.tolist()


def ledger(folder: Path) -> dict[str, Row]:
    """What became of each file."""
    return {row.name: row for row in read_ledger(folder / FILES)[0]}


@pytest.mark.parametrize("put", [in_folder, in_zip, in_tar], ids=["folder", "zip", "tar.gz"])
@pytest.mark.parametrize("form", FORMS)
def test_rows_are_those_of_the_source(
    store: Store, tmp_path: Path, form: str, put: Callable[[Path, Mapping[str, bytes]], Path]
) -> None:
    """Whatever holds them: the same images, labels and classes, in the source's order, and each file in the ledger."""
    files = FORMS[form]()
    summary, folder = packed(store, put(tmp_path / "set", files))
    for part, (images, labels) in (("train", drawn(30)), ("test", drawn(12, 2))):
        found = rows_of(folder, part)
        assert np.array_equal(found[0], images)
        assert found[1] == [NAMES.index(label) for label in labels]
    assert summary.classes == {"train": dict.fromkeys(NAMES, 10), "test": dict.fromkeys(NAMES, 4)}
    assert {name.removeprefix("inner/") for name in ledger(folder)} == set(files)
    assert (summary.files, summary.used, summary.unused) == (len(files), len(files), {})
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("names", [
    ("train.csv", "test.csv"), ("digits-Training.csv", "t10k.csv"), ("train/rows.csv", "test/rows.csv"),
    ("train.csv", "val.csv"), ("rows.csv", "rows_test.csv"), ("all.csv", None),
])  # fmt: skip
def test_names_say_which_part_a_file_is(store: Store, tmp_path: Path, names: tuple[str, str | None]) -> None:
    """Train and test in a file's or folder's name; validation takes the place of test, and one file alone is train."""
    train, test = names
    files = {train: table(*drawn(30)), **({test: table(*drawn(12, 2))} if test else {})}
    summary, folder = packed(store, in_folder(tmp_path / "set", files))
    assert summary.rows == {"train": 30, **({"test": 12} if test else {})}
    assert ledger(folder)[train][3:7] == ("train", "", 0, 30)


def test_validation_is_not_used_beside_test(store: Store, tmp_path: Path) -> None:
    """Its file is in the ledger with that reason, and so is what is neither images nor labels."""
    files = {f"{name}.csv": table(*drawn(30, at)) for at, name in enumerate(("train", "test", "val"))}
    summary, folder = packed(store, in_folder(tmp_path / "set", {**files, "README.md": b"mine"}))
    assert ledger(folder)["val.csv"].reason == NO_VALIDATION
    assert ledger(folder)["README.md"].reason == NOT_THIS
    assert (summary.files, summary.used) == (4, 2)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": table(*drawn(6)), "b.csv": table(*drawn(6))}, r"one of the tables .* found a\.csv, b\.csv"),
        ({"test.csv": table(*drawn(6))}, r"expected tables to train on, found test\.csv"),
        ({**idx_pair("train", *drawn(6)), **idx_pair("more", *drawn(6))}, "one of the image files to train on"),
        (dict.fromkeys(("a.npz", "b.npz"), npz_files()["set.npz"]), r"expected one \.npz, found a\.npz, b\.npz"),
        ({"train-images": idx_bytes(drawn(6)[0])}, "expected an image and a label file for each part"),
        ({"train.csv": table(*drawn(6)), "test.csv": table(*drawn(6, 1, (3, 3)))}, "expected images of one shape"),
        ({"x.csv": table(drawn(6)[0], ["2"] * 6)}, "expected two classes at least, found one, 2"),
    ],
    ids=["two tables", "no train", "two pairs", "two npz", "no labels", "two shapes", "one class"],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(store: Store, tmp_path: Path, files: Mapping[str, bytes], said: str) -> None:
    """No guess is made: the message names what may be meant."""
    with pytest.raises(BadSource, match=said):
        own_dataset(store, in_folder(tmp_path / "set", files), "set", Choices())


@pytest.mark.parametrize("form", ["csv", "npz", "idx"])
def test_chosen_classes_leave_rows_out(store: Store, tmp_path: Path, form: str) -> None:
    """Rows of others are dropped and counted, and labels are places among the chosen ones, in their order."""
    summary, folder = packed(store, in_folder(tmp_path / "set", FORMS[form]()), classes=["11", "2"])
    images, labels = drawn(30)
    chosen = [at for at, label in enumerate(labels) if label != "7"]
    found = rows_of(folder, "train")
    assert np.array_equal(found[0], images[chosen])
    assert found[1] == [("11", "2").index(labels[at]) for at in chosen]
    assert summary.rows == {"train": 20, "test": 8}
    notes = {row.notes for row in ledger(folder).values()}
    assert {"10 rows of other classes left out"} <= notes if form != "npz" else any("left out" in one for one in notes)
    with pytest.raises(BadSource, match="rows of 2 classes, as chosen, found none of 5"):
        own_dataset(store, tmp_path / "set", "set", Choices(classes=("2", "5")))


@pytest.mark.parametrize("form", ["csv", "npz", "idx"])
def test_a_size_that_rows_do_not_have_is_refused(store: Store, tmp_path: Path, form: str) -> None:
    """Rows are not scaled; the right size is taken."""
    place = in_folder(tmp_path / "set", FORMS[form]())
    with pytest.raises(BadSource):
        own_dataset(store, place, "set", Choices(size=(3, 3)))
    assert packed(store, place, size=(4, 4))[0].shape.array == (4, 4)


@pytest.mark.parametrize("form", ["csv", "npz", "idx"])
def test_rows_in_colour(store: Store, tmp_path: Path, form: str) -> None:
    """Three channels come last; of a table, whose columns do not tell, --size and --color say so."""
    (images, labels), choices = drawn(30, 3, (4, 4, 3)), {}
    if form == "csv":
        files, choices = {"set.csv": table(images, labels)}, {"size": (4, 4), "color": "rgb"}
    elif form == "npz":
        files = {"set.npz": npz(images=images, labels=np.array(labels, np.int64))}
    else:
        files = idx_pair("train", images, labels)
    _, folder = packed(store, in_folder(tmp_path / "set", files), **choices)
    assert np.array_equal(rows_of(folder, "train")[0], images)


def test_many_rows_are_read_in_blocks(store: Store, tmp_path: Path) -> None:
    """Images and labels stay together over the ends of blocks, in each form."""
    images, labels = drawn(4_500)
    numbers = np.array(labels, np.int64)
    forms = {"csv": {"a.csv": table(images, labels)}, "idx": idx_pair("a", images, labels),
             "npz": {"a.npz": npz(x=images, y=numbers)}}  # fmt: skip
    for form, files in forms.items():
        _, folder = packed(store, in_folder(tmp_path / form, files))
        found = rows_of(folder, "train")
        assert np.array_equal(found[0], images)
        assert found[1] == [NAMES.index(label) for label in labels]
