"""`idxflow describe`: what lies at a place, as a page, JSON and TOML."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.keys import plain
from artifacts.store.store import Store
from flows.described import to_toml
from flows.own_source import packed_dataset
from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.cli.main import main
from schemas.source import Choices
from tests.flows.packed_sets import NAMES, computed, make_folder, run_place


@pytest.fixture
def photos(desk: Path) -> Path:
    """60 pictures, a copy, one of another size, and two files that are none."""
    place = make_folder(desk / "photos")
    (place / "README.md").write_text("mine")
    (place / ".DS_Store").write_bytes(b"x")
    (place / "oak/copy.png").write_bytes(next((place / "oak").iterdir()).read_bytes())
    Image.fromarray(np.full((9, 9), 3, np.uint8)).save(place / "oak/large.png")
    return place


def test_what_is_there_and_what_a_run_would_have(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts, sizes, copies, what is not used with the reason, and what to say; nothing is written anywhere."""
    before = sorted(photos.parent.rglob("*"))
    assert main(["describe", "photos"]) == DONE
    shown = " ".join(capsys.readouterr().out.split())
    for words in (
        "photos: 64 files, with pictures",
        "62 images of 3 classes",
        "6 x 6 (61), 9 x 9 (1)",
        "Equal files: 1 that occur before",
        "1: no picture, by its ending (README.md)",
        "1: macOS: what a folder looks like (.DS_Store)",
        "Images: 6 x 6, grey",
        f"Classes: {', '.join(NAMES)}",
        "20 % of the images, cut off",
        "--size 6x6 --fit pad",
        'path = "photos"',
    ):
        assert words in shown
    assert sorted(photos.parent.rglob("*")) == before


def test_the_json_says_the_same(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, with every count; used and unused are all files."""
    assert main(["describe", "photos", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    contents = found["contents"]
    assert (found["place"], found["shape"], found["classes"]) == ("photos", [6, 6], list(NAMES))
    assert contents["files"] == sum(contents["counts"]["train"].values()) + sum(contents["unused"].values()) == 64
    assert contents["copies"] == 1
    assert tomllib.loads(found["toml"])["pack"]["classes"] == list(NAMES)


@pytest.mark.parametrize(("out", "said"), [("photos.toml", "one that is there"), ("photos.txt", "the ending .txt")])
def test_nothing_is_written_over(photos: Path, out: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays, and another ending is refused before anything is looked at."""
    path = photos.parent / out
    if said == "one that is there":
        path.write_text("mine")
    assert main(["describe", "photos", "--out", out]) == WRONG_USAGE
    assert f"expected a new .toml file, found {said}" in capsys.readouterr().err
    assert not path.exists() or path.read_text() == "mine"


def test_the_description_is_the_same_set(
    home: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of what --out writes computes nothing but the page that a run of the folder, with the same flags, has."""
    flags = ["--size", "5x5", "--fit", "stretch", "--test-fraction", "0.3", "--classes", "oak", "--classes", "beech"]
    folder = tmp_path / "sets"
    folder.mkdir()
    assert main(["describe", "photos", *flags, "--out", "sets/trees.toml"]) == DONE
    assert "Run it with: idxflow run --dataset sets/trees.toml" in capsys.readouterr().out
    said = {"size": (5, 5), "fit": "stretch", "test_fraction": 0.3, "classes": ("oak", "beech")}
    first = run_place(photos, **Choices.model_validate(said).model_dump(exclude_unset=True))

    second = run_place(folder / "trees.toml")
    assert set(computed(second)) <= {"report"}
    versions = [
        {(row.stage, row.version) for row in record.stages if row.stage != "report"} for record in (first, second)
    ]
    assert versions[0] == versions[1]
    assert second.dataset == "trees"


@pytest.mark.parametrize("said", [{}, {"color": "rgb"}, {"size": (9, 9), "fit": "pad"}])
def test_what_is_written_is_packed_alike(photos: Path, store: Store, said: dict[str, object]) -> None:
    """Whatever was said or not: pack has the same key."""
    choices = Choices.model_validate(said)
    folder = packed_dataset(store, "./photos", choices)
    assert folder is not None
    (photos.parent / "trees.toml").write_text(to_toml(folder, choices, "photos"))
    described = packed_dataset(store, "trees.toml", Choices())
    assert described is not None
    assert plain(described.packed) == plain(folder.packed)


def test_rows_are_described_too(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table says how its columns are read."""
    rows = [",".join(map(str, [NAMES[at % 3], *[at * 4 % 256] * 4])) for at in range(30)]
    (desk / "t.csv").write_text("\n".join(rows) + "\n")
    assert main(["describe", "t.csv"]) == DONE
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("1 file, with rows of pixels", "30 images of 3 classes", "labels from column 1", "2 x 2, grey"):
        assert words in shown


def test_what_is_no_place(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder and a path that is not there are errors in one sentence."""
    (desk / "empty").mkdir()
    for place in ("empty", "none/at/all"):
        assert main(["describe", place]) != DONE
        output, errors = capsys.readouterr()
        assert not output
        assert errors.startswith("ERROR ")
        assert "Traceback" not in errors
