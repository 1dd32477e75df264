"""From a sample back to its file, in a set that was packed: where a person sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.store.store import Store
from flows.origins import origins_of
from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.main import main
from schemas.training import Training
from tests.flows.own_sets import table_of
from tests.flows.packed_sets import NAMES, make_folder, run_place


def pixels(path: Path) -> list[int]:
    """The grey levels of a picture, row by row."""
    return np.asarray(Image.open(path)).ravel().tolist()


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
