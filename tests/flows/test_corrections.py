"""Corrected labels through the pipeline: what runs again, what is said of it, and how it is undone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.archive.reasons import sentence
from artifacts.store.store import Store
from flows.own_source import packed_dataset
from flows.pipeline import pipeline
from flows.run_record import RunRecord
from schemas.errors import StageError, UsageError
from schemas.source import Choices
from tasks.formats.packed import Origins
from tests.flows.own_sets import TRAINING, OwnSet, computed, draw, make_set, plan, run, table_of
from tests.flows.packed_sets import write_pictures

AFTER = ["validate train", "validate test", "normalize", "train", "evaluate", "report"]


def correct(own: OwnSet, *lines: str) -> None:
    """Write `corrections.csv` with these lines below the first."""
    (own.folder / "corrections.csv").write_text("\n".join(["sample,split,label,who,why", *lines]) + "\n")


def other_label(own: OwnSet, sample: int, split: str = "train") -> int:
    """Return a label that an image does not have."""
    return int((own.contents(split)[1][sample] + 1) % 3)


def test_corrected_labels_are_those_that_count(home: Path, tmp_path: Path) -> None:
    """The plan names the file, parse changes that label alone, nothing before it runs, and without it all is back."""
    own = make_set(tmp_path / "leaves", 1)
    first = run(own)
    images, labels = own.contents("train")
    label = other_label(own, 41)
    correct(own, f"41,train,{label},Ada,seen under the lens")
    rows = plan(home, own)
    assert {name for name, row in rows.items() if row.state != "cached"} == {"parse train", *AFTER}
    assert sentence(rows["parse train"].changes) == "corrections.csv is new"
    second = run(own)
    assert set(computed(second)) <= {"parse train", *AFTER}
    assert "parse train" in computed(second)
    found = table_of(home, second, "train")
    assert np.array_equal(found[0], images)
    assert np.flatnonzero(found[1] != labels).tolist() == [41]
    assert found[1][41] == label
    correct(own, f"41,train,{label},Ada,seen again")
    rows = plan(home, own)
    assert sentence(rows["parse train"].changes) == "corrections.csv changed"
    third = run(own)
    assert computed(third) == ["parse train", "report"]  # the same labels: only who and why are told differently
    for text in ("sample,split,label\n", None):
        (own.folder / "corrections.csv").unlink()
        if text:
            (own.folder / "corrections.csv").write_text(text)
        undone = run(own)
        assert computed(undone) == []
        assert [row.version for row in undone.stages] == [row.version for row in first.stages]
        if text is None:
            break


def test_the_manifest_says_what_was_corrected(home: Path, tmp_path: Path) -> None:
    """Parse keeps how many, by which file, and the first of them with who and why; counts are those of the table."""
    own = make_set(tmp_path / "leaves", 1)
    names = ("oak", "beech", "birch")
    before, after = int(own.contents("test")[1][3]), other_label(own, 3, "test")
    correct(own, f"3,test,{names[after]},Ada,it is \u202e\x1b[2J one")
    record = run(own)
    row = next(row for row in record.stages if (row.stage, row.name) == ("parse", "test"))
    manifest = Store(home).manifest("parse", row.version)
    assert manifest is not None
    summary = manifest.summary
    assert summary["corrected"].startswith("1 test label corrected by corrections.csv, SHA-256 ")
    assert summary["corrections"] == [f"sample 3: {names[before]} -> {names[after]} (Ada: it is \\u202e\\x1b[2J one)"]
    assert summary["per_class"] == {name: 10 + (index == after) - (index == before) for index, name in enumerate(names)}
    report = Path(str(record.report)).read_text("utf-8")
    assert summary["corrected"] in report
    assert "\x1b" not in report
    assert "\u202e" not in report


@pytest.mark.parametrize(
    ("sample", "shift", "said"),
    [
        (60, 1, "corrections.csv, line 2: expected a sample id of the train split, 0 to 59, found 60"),
        (41, 0, "corrections.csv, line 2: expected another label than the files have, found"),
    ],
)
def test_a_correction_that_corrects_nothing(home: Path, tmp_path: Path, sample: int, shift: int, said: str) -> None:
    """An image that is not there, and the label that it has already, fail parse with the line."""
    own = make_set(tmp_path / "leaves", 1)
    label = (own.contents("train")[1][min(sample, 59)] + shift) % 3
    correct(own, f"{sample},train,{label},,")
    with pytest.raises(StageError) as error:
        run(own)
    assert said in str(error.value)


def test_corrections_of_a_split_that_is_cut(home: Path, tmp_path: Path) -> None:
    """Which images are the test split the files' own labels decide: a correction moves none of them."""
    own = make_set(tmp_path / "leaves", 1)
    path = Path(own.toml)
    text = path.read_text()
    path.write_text(text[: text.index("[[test.shards]]")] + "[test]\nfraction = 0.25\n")
    first = run(own)
    before = {split: table_of(home, first, split) for split in ("train", "test")}
    lines = [f"{n},{split},{(before[split][1][n] + 1) % 3},," for n, split in ((0, "train"), (7, "test"), (2, "test"))]
    correct(own, *lines)
    second = run(own)
    for split, changed in (("train", [0]), ("test", [2, 7])):
        found = table_of(home, second, split)
        assert np.array_equal(found[0], before[split][0])
        assert np.flatnonzero(found[1] != before[split][1]).tolist() == changed


@pytest.mark.slow
def test_images_of_a_folder_are_corrected_by_their_files(home: Path, tmp_path: Path) -> None:
    """A file in the folder corrects by the names of pictures; it is no part of what is packed."""
    place, random = tmp_path / "leaves", np.random.default_rng(1)
    for number in range(40):
        (folder := place / ("oak", "beech")[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (6, 6), np.uint8)).save(folder / f"{number:02}.png")
    first = pipeline(str(place), training=TRAINING)
    rows = find_files(home, first)
    name = next(name for name in rows if name.startswith("oak/"))
    (place / "corrections.csv").write_text(f"file,sample,split,label\n{name},999,train,beech\n")
    second = pipeline(str(place), training=TRAINING)
    assert {"pack leaves", "parse train"} < set(computed(second))  # one name more below the place: it is listed again
    assert not {"group", "parse test"} & set(computed(second))
    changed = np.flatnonzero(table_of(home, first, "train")[1] != table_of(home, second, "train")[1])
    assert changed.tolist() == [rows[name]]
    (place / "corrections.csv").write_text(f"file,split,label,who\n{name},train,beech,Ada\n")
    assert computed(pipeline(str(place), training=TRAINING)) == ["parse train", "report"]
    for wrong, said in (("oak/none.png", "none of this name"), ("corrections.csv", "corrections of labels")):
        (place / "corrections.csv").write_text(f"file,split,label\n{wrong},train,beech\n")
        with pytest.raises(StageError, match=rf"corrections.csv, line 2: .* found {wrong}: {said}"):
            pipeline(str(place), training=TRAINING)


def test_corrections_beside_the_description_of_a_folder(home: Path, tmp_path: Path) -> None:
    """They may lie there, or in the folder, and not in both; sample ids do as well."""
    place = tmp_path / "leaves"
    for number in range(8):
        (folder := place / ("oak", "beech")[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 6), 20 * number, np.uint8)).save(folder / f"{number:02}.png")
    (description := tmp_path / "set.toml").write_text('title = "Leaves"\n[pack]\npath = "leaves"\n')
    store = Store(home)
    text = "sample,file,split,label\n,oak/00.png,train,beech\n1,,train,oak\n"
    (tmp_path / "corrections.csv").write_text(text)
    data = packed_dataset(store, str(description), Choices())
    assert data is not None
    assert [(row.sample, row.file) for row in data.corrected["train"].rows] == [(1, ""), (None, "oak/00.png")]
    (place / "corrections.csv").write_text(text)
    with pytest.raises(UsageError, match=r"expected one file of corrections, .* found both"):
        packed_dataset(store, str(description), Choices())


def find_files(home: Path, record: RunRecord) -> dict[str, int]:
    """Return the sample id of each file of the train split."""
    store = Store(home)
    folders = {row.stage: store.folder(row.stage, row.version) for row in record.stages if row.name != "test"}
    origins = Origins.at(folders["pack"] / "files.parquet", {"train": folders["parse"]})
    return {name: sample for sample in range(40) if (name := origins.name("train", sample))}


def test_a_number_is_no_class_that_has_another_name(home: Path, tmp_path: Path) -> None:
    """Folders 1 to 3 store names: 0, the index of 1, is none of them."""
    files = write_pictures(tmp_path / "set", *draw(1, 9), ("1", "2", "3"))
    given = tmp_path / "set" / "corrections.csv"
    given.write_text(f"file,split,label\n{files[0]},train,0\n")
    with pytest.raises(UsageError, match="expected the name of a class, found '0'"):
        packed_dataset(Store(home), str(tmp_path / "set"), Choices())
    given.write_text(f"file,split,label\n{files[0]},train,3\n")
    data = packed_dataset(Store(home), str(tmp_path / "set"), Choices())
    assert data is not None
    assert [row.label for row in data.corrected["train"].rows] == [2]
