"""Places of one's own as data sets, through whole runs: every form is one set, wherever it lies; and descriptions."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from artifacts.store.store import Store
from flows.choose import find_dataset
from flows.own_source import packed_dataset
from idxflow.api import open_store
from schemas.datasets import Dataset
from schemas.errors import BadSource, UsageError
from schemas.source import Choices
from schemas.training import Training
from tests.flows.own_sets import Array, table_of
from tests.flows.packed_sets import TRAINING, computed, make_folder, plan_place, run_place, write_pictures
from tests.tasks.idx_bytes import write_idx
from tests.tasks.report_inputs import BUNDLED

DIGITS = tuple(map(str, range(10)))
Parts = dict[str, tuple[Array, Array]]


def digits() -> Parts:
    """The bundled digits, sorted by class as folders have them: uint8 images (n, 8, 8) and labels, by part."""
    found = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        data = [gzip.decompress((BUNDLED / f"{name}-{kind}-ubyte.gz").read_bytes())
                for kind in ("images-idx3", "labels-idx1")]  # fmt: skip
        labels = np.frombuffer(data[1], np.uint8, offset=8)
        order = np.argsort(labels, kind="stable")
        found[part] = np.frombuffer(data[0], np.uint8, offset=16).reshape(-1, 8, 8)[order], labels[order]
    return found


def as_folder(place: Path, parts: Parts) -> Path:
    """Folders of pictures."""
    for part, (images, labels) in parts.items():
        write_pictures(place / part, images, labels, DIGITS)
    return place


def as_zip(place: Path, parts: Parts) -> Path:
    """The same in a zip."""
    as_folder(place, parts)
    target = place.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(place.rglob("*.png"), reverse=True):
            archive.write(path, path.relative_to(place.parent))
    return target


def as_tables(place: Path, parts: Parts) -> Path:
    """A table of pixels for each part."""
    place.mkdir()
    for part, (images, labels) in parts.items():
        rows = np.column_stack([labels, images.reshape(len(images), -1)])
        np.savetxt(place / f"{part}.csv", rows, "%d", ",")
    return place


def as_arrays(place: Path, parts: Parts) -> Path:
    """An .npz, as MedMNIST has them: labels n x 1."""
    arrays = {f"{part}_{kind}": array for part, both in parts.items()
              for kind, array in zip(("images", "labels"), (both[0], both[1][:, None]), strict=True)}  # fmt: skip
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    target = place.with_suffix(".npz")
    target.write_bytes(file.getvalue())
    return target


def as_idx(place: Path, parts: Parts) -> Path:
    """A folder of IDX files."""
    place.mkdir()
    for part, both in parts.items():
        for kind, array in zip(("images", "labels"), both, strict=True):
            write_idx(place / f"{part}-{kind}", array)
    return place


def as_list(place: Path, parts: Parts) -> Path:
    """Pictures of which only a table says part and class."""
    for part, (images, labels) in parts.items():
        files = write_pictures(place / "all", images, labels, [f"{part}{name}" for name in DIGITS])
        lines = [f"all/{file},{label}" for file, label in zip(files, labels.tolist(), strict=True)]
        (place / f"{part}.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return place


def test_every_form_is_one_set(home: Path, tmp_path: Path) -> None:
    """A folder, a zip, tables, arrays, IDX files and a list of pictures give one table, and so one training."""
    parts = digits()
    forms: tuple[Callable[[Path, Parts], Path], ...] = (as_idx, as_folder, as_zip, as_tables, as_arrays, as_list)
    versions, accuracies = set(), set()
    for form in forms:
        record = run_place(form(tmp_path / form.__name__.replace("_", "-"), parts), Training(epochs=3))
        for split, (images, labels) in parts.items():
            found = table_of(home, record, split)
            assert np.array_equal(found[0], images.reshape(len(images), -1))
            assert np.array_equal(found[1], labels)
        assert ("train" in computed(record)) == (form is forms[0])
        versions.add(next(row.version for row in record.stages if row.stage == "train"))
        accuracies.add(record.metrics["test"].accuracy)
    assert len(versions) == len(accuracies) == 1
    assert accuracies.pop() > 0.5


def test_a_copy_is_the_same_set(home: Path, tmp_path: Path) -> None:
    """Elsewhere, written in another order and with endings in capitals: every stage is cached."""
    place = make_folder(tmp_path / "photos")
    first = run_place(place)
    copy = tmp_path / "elsewhere" / "photos"
    for path in sorted(place.rglob("*.png"), reverse=True):
        target = copy / path.relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target.with_suffix(".PNG" if path.stem.endswith("3") else ".png"))
    rows = plan_place(home, copy)
    assert {name for name, row in rows.items() if row.state != "cached"} == set()
    second = run_place(copy)
    assert computed(second) == []
    assert [row.version for row in second.stages] == [row.version for row in first.stages]
    assert second.dataset_id != first.dataset_id


def test_a_changed_picture_is_noticed(home: Path, tmp_path: Path) -> None:
    """One byte more in one file: it is packed again; where the pixels are the same, only the page follows."""
    place = make_folder(tmp_path / "photos")
    run_place(place)
    file = next(place.rglob("*.png"))
    file.write_bytes(file.read_bytes() + b"\0")
    second = run_place(place)
    assert computed(second) == ["pack", "report"]


def described(home: Path, toml: Path, **choices: object) -> Dataset:
    """Load a description."""
    data = packed_dataset(Store(home), str(toml), Choices.model_validate(choices))
    assert data is not None
    return data


def test_a_description_says_what_flags_would(home: Path, tmp_path: Path) -> None:
    """Its place is seen from its folder; what it says counts, and a flag wins over it."""
    make_folder(tmp_path / "in" / "photos")
    toml = tmp_path / "in" / "My Trees.toml"
    toml.write_text(
        'title = "Trees"\nsource = "ours"\nheld_out = "last"\nchecks.missing_class = "warn"\n'
        '[pack]\npath = "photos"\nsize = [3, 4]\nfit = "stretch"\ntest_fraction = 0.5\nclasses = ["oak", "birch"]\n'
    )
    data = described(home, toml)
    assert (data.name, data.title, data.source, data.held_out) == ("my-trees", "Trees", "ours", "last")
    assert data.checks.missing_class == "warn"
    assert data.packed is not None
    assert (data.packed.shape.array, data.classes, data.test_fraction) == ((3, 4), ("oak", "birch"), 0.5)
    other = described(home, toml, size=(2, 2), test_fraction=0.25)
    assert other.packed is not None
    assert (other.packed.shape.array, other.classes, other.test_fraction) == ((2, 2), ("oak", "birch"), 0.25)
    record = run_place(toml, test_fraction=0.25)
    assert open_store(home).run(record.id).table("test").image.shape[1:] == (3, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[pack]\npath = "photos"\nsizes = [3, 3]\n', r"pack\.sizes \(did you mean size\?"),
        ('titel = "T"\n[pack]\npath = "photos"\n', "titel"),
        ('[pack]\nsize = [3, 3]\n', "path"),
        ('[pack]\npath = "photos"\ncolor = "green"\n', "color"),
        ('[pack]\npath = "photos"\ntest_fraction = 2.0\n', "test_fraction"),
        ('[pack]\npath = "C:\\\\photos"\n', "pack.path"),
    ],
    ids=["size", "title", "no path", "color", "fraction", "Windows"],
)  # fmt: skip
def test_a_wrong_description_is_refused(home: Path, tmp_path: Path, text: str, said: str) -> None:
    """With the field, and what is nearest where there is no such one."""
    make_folder(tmp_path / "photos")
    (tmp_path / "trees.toml").write_text(f'title = "Trees"\n{text}' if "titel" not in text else text)
    with pytest.raises(UsageError, match=f"(?s){said}"):
        described(home, tmp_path / "trees.toml")


def test_a_place_that_is_not_there(home: Path, tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "trees.toml").write_text('title = "Trees"\n[pack]\npath = "photos"\n')
    with pytest.raises(BadSource, match="photos: expected a folder, archive or file, found nothing there"):
        described(home, tmp_path / "trees.toml")


def test_the_split_is_that_of_the_place_or_cut(home: Path, tmp_path: Path) -> None:
    """A test folder is the test split; without one, a share of each class is cut off."""
    assert described_folder(home, make_folder(tmp_path / "a", test=True)).test_fraction is None
    assert described_folder(home, make_folder(tmp_path / "b")).test_fraction == 0.2
    record = run_place(tmp_path / "b", TRAINING)
    of_test, of_train = (np.bincount(table_of(home, record, split)[1], minlength=3) for split in ("test", "train"))
    assert (of_test + of_train).tolist() == [20, 20, 20]
    assert (of_test > 0).all()
    assert (of_train > of_test).all()  # shares are met on average


def described_folder(home: Path, place: Path) -> Dataset:
    """Describe a folder."""
    data = packed_dataset(Store(home), str(place), Choices())
    assert data is not None
    return data


def test_what_is_said_of_no_place_is_refused(home: Path) -> None:
    """The files of a set of the catalog say all: a flag about pictures would do nothing."""
    with pytest.raises(UsageError, match="--size: expected a folder, archive, table or file of arrays to pack"):
        find_dataset(Store(home), "digits", (), Choices(size=(4, 4)))


def test_a_cached_run_says_again_what_is_odd_about_the_data(home: Path, tmp_path: Path) -> None:
    """Pictures that cannot be used, and copies, are told by every run, in the same words."""
    place = make_folder(tmp_path / "photos")
    first = next(path for path in sorted(place.rglob("*.png")))
    (first.parent / "bad.png").write_bytes(b"")
    shutil.copyfile(first, first.with_name("zz-copy.png"))
    one, two = (run_place(place, allow_refused=True) for _ in range(2))
    assert all(row.cached for row in two.stages)
    assert {said for said in one.warnings if said.startswith("photos")} == set(two.warnings)
    assert any("1 of " in said and "bad.png" in said for said in two.warnings)
