"""From a sample back to its file, in a set that was packed: where a person sees it, and in corrections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.archive.reasons import sentence
from artifacts.store.store import Store
from flows.origins import origins_of
from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.main import main
from schemas.errors import StageError, UsageError
from schemas.training import Training
from tests.flows.own_sets import table_of
from tests.flows.packed_sets import NAMES, computed, make_folder, plan_place, run_place

AFTER = {"parse train", "parse test", "validate train", "validate test", "normalize", "train", "evaluate", "report"}


def pixels(path: Path) -> list[int]:
    """The grey levels of a picture, row by row."""
    return np.asarray(Image.open(path)).ravel().tolist()


def correct(folder: Path, *lines: str, head: str = "file,label,who,why") -> None:
    """Write `corrections.csv` with these lines below the first."""
    (folder / "corrections.csv").write_text("\n".join([head, *lines]) + "\n")


@pytest.mark.parametrize("test", [False, True], ids=["cut", "test folder"])
def test_every_sample_has_its_file(home: Path, tmp_path: Path, test: bool) -> None:
    """Of both splits, cut or not, the picture of that name has the sample's pixels; predictions and hints have it."""
    place = make_folder(tmp_path / "photos", test=test)
    record = run_place(place)
    run = open_store(home).run(record.id)
    seen = set()
    for split in ("train", "test"):
        images, labels = table_of(home, record, split)
        for sample, (image, label) in enumerate(zip(images, labels, strict=True)):
            name = run.file(split, sample)
            assert pixels(place / name) == image.tolist()
            assert name.split("/")[-2] == NAMES[label]
            seen.add(name)
        assert run.file(split, len(images)) == ""
    assert len(seen) == (90 if test else 60)
    found = run.predictions().to_pylist()
    assert all(row["file"] == run.file(row["split"], row["sample_id"]) for row in found)
    page = Path(str(record.report)).read_text()
    wrong = [row["file"] for row in found if row["split"] == "test" and row["label"] != row["predicted"]]
    assert sum(f": {file}</th>" in page for file in wrong) == min(len(wrong), 12) > 0
    for hint in run.hints().hints:
        assert hint.file == run.file("train", hint.sample)


def test_what_is_gone_leaves_no_wrong_name(home: Path, tmp_path: Path) -> None:
    """Where the table of a split that was cut is gone, which rows it had is not known: no sample has a name then."""
    record = run_place(make_folder(tmp_path / "photos"))
    store = Store(home)
    assert origins_of(store, record).name("train", 0)
    rows = [row if row.stage != "parse" else row.model_copy(update={"version": "0" * 16}) for row in record.stages]
    assert not origins_of(store, record.model_copy(update={"stages": rows})).known


def test_compared_images_have_their_files(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The images that one model alone gets right are named, on the console, too."""
    place = make_folder(tmp_path / "photos", test=True)
    one, other = run_place(place), run_place(place, Training(epochs=12))
    found = open_store(home).compare(one.id, other.id).disagreement
    assert found is not None
    run = open_store(home).run(one.id)
    images = (*found.only_a_right, *found.only_b_right)
    assert images
    assert all(image.file == run.file("test", image.sample_id) != "" for image in images)
    capsys.readouterr()
    assert main(["compare", one.id, other.id, "--home", str(home)]) == DONE
    assert images[0].file in capsys.readouterr().out


def test_near_copies_across_splits_are_shown_with_their_files(home: Path, tmp_path: Path) -> None:
    """A test picture that is nearly a train picture is a caveat, a warning that names both, and a pair of pictures."""
    place = make_folder(tmp_path / "photos", test=True)
    source = sorted((place / "train/oak").iterdir())[3]
    image = np.asarray(Image.open(source))
    Image.fromarray(np.minimum(image, 250) + 3).save(place / "test/oak/copy.png")
    record = run_place(place)
    names = f"train/oak/{source.name} and test/oak/copy.png"
    assert any("near-equal to train images" in text and f"First {names}." in text for text in record.warnings)
    page = Path(str(record.report)).read_text()
    assert "1 test image of 31 nearly equal to train images" in page
    assert f": train/oak/{source.name}</td>" in page
    assert ": test/oak/copy.png</th>" in page
    assert (Path(str(record.report)).parent / "near.svg").exists()


def test_a_correction_by_file_applies_where_the_image_is(home: Path, tmp_path: Path) -> None:
    """In whichever split a cut has put it; pack and group stay cached, and without the file all is back."""
    place = make_folder(tmp_path / "photos")
    first = run_place(place)
    run = open_store(home).run(first.id)
    files = {split: run.file(split, 4) for split in ("train", "test")}
    before = {split: table_of(home, first, split) for split in files}
    names = [file.replace("/", "\\") for file in files.values()]  # as Windows writes it
    after = {split: (int(before[split][1][4]) + 1) % 3 for split in files}
    lines = [f"{name},{NAMES[label]},Ada,seen" for name, label in zip(names, after.values(), strict=True)]
    correct(place, *lines)
    rows = plan_place(home, place)
    assert {name for name, row in rows.items() if row.state != "cached"} == AFTER
    assert sentence(rows["parse train"].changes) == "corrections.csv is new"
    second = run_place(place)
    assert {"parse train", "parse test"} <= set(computed(second)) <= AFTER
    for split, (images, labels) in before.items():
        found = table_of(home, second, split)
        assert np.array_equal(found[0], images)
        assert np.flatnonzero(found[1] != labels).tolist() == [4]
        assert found[1][4] == after[split]
    page = Path(str(second.report)).read_text()
    for split, file in files.items():
        row = next(row for row in second.stages if (row.stage, row.name) == ("parse", split))
        manifest = Store(home).manifest("parse", row.version)
        assert manifest is not None
        assert manifest.summary["corrected"].startswith(f"1 {split} label corrected by corrections.csv")
        (told,) = manifest.summary["corrections"]
        assert told.startswith(f"sample 4, {file}: ")
        assert f'<th scope="row">4: {file}</th><td>{NAMES[after[split]]}</td><td>Ada</td>' in page
    (place / "corrections.csv").unlink()
    undone = run_place(place)
    assert computed(undone) == []
    assert [row.version for row in undone.stages] == [row.version for row in first.stages]


def test_a_correction_by_file_stays_with_it(home: Path, tmp_path: Path) -> None:
    """A line of hints has the sample id as well: an added image changes that, and the file counts."""
    place = make_folder(tmp_path / "photos", test=True)
    record = run_place(place)
    file = open_store(home).run(record.id).file("train", 30)
    label = NAMES[(NAMES.index(file.split("/")[1]) + 1) % 3]
    correct(place, f"30,{file},train,{label}", head="sample,file,split,label")
    Image.fromarray(np.full((6, 6), 77, np.uint8)).save(place / "train/beech/!.png")
    second = run_place(place)
    run = open_store(home).run(second.id)
    labels = table_of(home, second, "train")[1]
    assert run.file("train", 31) == file
    changed = [at for at, label in enumerate(labels) if run.file("train", at).split("/")[1] != NAMES[label]]
    assert changed == [31]


def test_a_file_that_is_not_used_is_refused(home: Path, tmp_path: Path) -> None:
    """The run fails with the line, and what to do."""
    place = make_folder(tmp_path / "photos")
    (place / "notes.txt").write_text("mine")
    correct(place, "notes.txt,beech", head="file,label")
    with pytest.raises(StageError) as error:
        run_place(place)
    assert "corrections.csv, line 2: expected a file that an image comes from" in str(error.value)
    assert "found 'notes.txt', one that is not used: no picture, by its ending. Correct the name" in str(error.value)


def test_mistakes_that_are_found_before_a_run(home: Path, tmp_path: Path) -> None:
    """A class that there is not, a file twice, and a label by a number that no file stores."""
    place = make_folder(tmp_path / "photos")
    for lines, said in (
        (["oak/1.png,elm"], "line 2: expected the name of a class, found 'elm'"),
        (["oak/1.png,1"], "line 2: expected the name of a class, found '1'"),
        (["oak/1.png,beech", "oak/1.png,birch"], "line 3: expected each image once, found oak/1.png, as in line 2"),
        ([",beech"], "line 2: expected a sample id, a whole number from 0, found none"),
    ):
        correct(place, *lines, head="file,label")
        with pytest.raises(UsageError, match=said):
            plan_place(home, place)


def test_corrections_beside_a_description(home: Path, tmp_path: Path) -> None:
    """They are read there, or from the file that it names; a second file in the folder is refused."""
    place = make_folder(tmp_path / "photos", test=True)
    run_place(place)
    toml = tmp_path / "trees.toml"
    toml.write_text('title = "Trees"\n[pack]\npath = "photos"\n')
    first = run_place(toml)
    assert not {"pack", "group", "parse train"} & set(computed(first))
    file = open_store(home).run(first.id).file("test", 0)
    other = next(name for name in NAMES if name != file.split("/")[1])
    correct(tmp_path, f"{file},{other}", head="file,label")
    rows = plan_place(home, toml)
    assert (rows["pack"].state, rows["group"].state) == ("cached", "cached")
    labels = table_of(home, run_place(toml), "test")[1]
    assert labels[0] == NAMES.index(other)
    correct(place, f"{file},{other}", head="file,label")
    with pytest.raises(UsageError, match=r"expected one file of corrections, found .*photos/corrections\.csv"):
        plan_place(home, toml)
    (place / "corrections.csv").unlink()
    (tmp_path / "corrections.csv").rename(tmp_path / "mine.csv")
    toml.write_text('title = "Trees"\ncorrections = "mine.csv"\n[pack]\npath = "photos"\n')
    assert table_of(home, run_place(toml), "test")[1][0] == NAMES.index(other)
    (tmp_path / "mine.csv").unlink()
    with pytest.raises(UsageError, match="expected a file of corrections"):
        plan_place(home, toml)


def test_a_row_of_a_table_is_named(home: Path, tmp_path: Path) -> None:
    """A file of many images names each by its row, and corrections take that name."""
    images = np.random.default_rng(1).integers(0, 256, (60, 9))
    lines = [",".join(map(str, [NAMES[at % 3], *image])) for at, image in enumerate(images.tolist())]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    first = run_place(tmp_path / "table.csv")
    run = open_store(home).run(first.id)
    found, labels = table_of(home, first, "train")
    name = run.file("train", 5)
    assert images[int(name.removeprefix("table.csv, row "))].tolist() == found[5].tolist()
    toml = tmp_path / "trees.toml"
    toml.write_text('title = "Trees"\n[pack]\npath = "table.csv"\n')
    other = NAMES[(int(labels[5]) + 1) % 3]
    correct(tmp_path, f'"{name}",{other}', head="file,label")
    assert table_of(home, run_place(toml), "train")[1][5] == NAMES.index(other)
