"""`idxflow predict`: new images named, as lines, JSON, CSV and Parquet, and what is recorded of it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from artifacts.store.store import Store
from idxflow.api import Archive, ArchivedRun
from idxflow.cli.ending import DONE, FAILED, WRONG_USAGE
from idxflow.cli.main import main
from tests.processes import bare_environment, run_python
from tests.tasks.idx_bytes import write_idx


@pytest.fixture
def home(kept: Archive, desk: Path) -> Path:
    """A copy of the store of a run over the digits."""
    shutil.copytree(kept.store.home, desk / ".idxflow", symlinks=True)
    return desk / ".idxflow"


@pytest.fixture
def digits(run: ArchivedRun) -> Any:
    """The test split of the digits."""
    return run.table("test")


def predict(*words: str) -> int:
    """Call the command."""
    return main(["predict", *words])


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Read what was printed as JSON."""
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def write_pictures(folder: Path, digits: Any, count: int, first: int = 0) -> None:
    """Write test images as PNGs, in a folder."""
    folder.mkdir(exist_ok=True)
    for at in range(first, first + count):
        Image.fromarray(digits.image[at]).save(folder / f"{at:03}.png")


def test_a_whole_split_is_named_as_evaluate_named_it(
    home: Path, run: ArchivedRun, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From an IDX file and from pictures: evaluate's stored classes and probabilities, bit for bit."""
    stored = [row for row in run.predictions().to_pylist() if row["split"] == "test"]
    expected = [(digits.classes[row["predicted"]], row["probability"]) for row in stored]
    write_idx(desk / "images", digits.image)
    write_pictures(desk / "pictures", digits, len(digits.image))
    for place in ("images", "pictures"):
        assert predict("latest", place, "--json") == DONE
        found = document(capsys)
        assert [(row["predicted"], np.float32(row["probability"])) for row in found["answers"]] == expected
        assert (found["model_of"], found["dataset"]) == (run.id, "digits")
        assert found["places"][0]["scored"]["images"] == len(expected)
        assert found["places"][0]["drift"] == []


def test_few_images_have_a_line_each(
    home: Path, run: ArchivedRun, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a picture alone its class, probability and runner-up are printed; what is refused has its reason."""
    write_pictures(desk / "new", digits, 2)
    (desk / "new" / "notes.txt").write_text("nothing")
    assert predict("latest", "new/000.png", "new") == DONE
    lines = capsys.readouterr().out.splitlines()
    named = [line.split() for line in lines if line.startswith(("000.png", "001.png"))]
    assert [each[0] for each in named] == ["000.png", "000.png", "001.png"]
    first, second = run.predict(digits.image[:2]).name
    assert [each[1] for each in named] == [first, first, second]
    assert any(line.startswith("Refused:") and "no picture, by its ending" in line for line in lines)
    assert any(line.split() == ["notes.txt", "refused", "no", "picture,", "by", "its", "ending"] for line in lines)


def test_of_many_what_matters_is_printed(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes, how many are sure, drift, the least sure images, the accuracy where folders say the class."""
    for name in digits.classes:
        (desk / "new" / name).mkdir(parents=True)
    for at, (image, label) in enumerate(zip(digits.image, digits.label, strict=True)):
        Image.fromarray(image).save(desk / "new" / digits.classes[label] / f"{at:03}.png")
    assert predict("latest", "new", "--out", "all.csv") == DONE
    told = capsys.readouterr().out
    for words in (
        "Classes:",
        "Sure of:",
        "Drift:           none seen",
        "5 least sure",
        "all.csv",
    ):
        assert words in told
    with (desk / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["predicted"] == row["label"] for row in rows)
    assert f"{right / len(rows):.2%}".replace("%", " %") + f" of {len(rows)} labelled images" in told
    assert list(rows[0]) == [
        "place", "answered", "file", "part", "sample", "predicted", "probability", "runner_up",
        "runner_up_probability", "sure", "unlike", "label", "reason", "sha256",
    ]  # fmt: skip


def test_images_of_another_kind_are_flagged(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inverted images are named, and it is said by what they are unlike those of training."""
    write_idx(desk / "inverted", 255 - digits.image)
    assert predict("latest", "inverted", "--json") == DONE
    place = document(capsys)["places"][0]
    assert {"mean", "ink", "unlike"} <= set(place["drift"])
    assert predict("latest", "inverted") == DONE
    caught = capsys.readouterr()
    assert "unlike the images of training" in caught.out + caught.err


def test_it_is_recorded_and_cached(home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of its own, in the lineage of its model; the same images again are not named again, others are."""
    write_idx(desk / "images", digits.image[:30])
    assert predict("latest", "images", "--json") == DONE
    first = document(capsys)
    assert not first["places"][0]["cached"]
    assert predict("latest", "images", "--json") == DONE
    second = document(capsys)
    assert second["places"][0]["cached"]
    assert second["answers"] == first["answers"]
    store = Store(home)
    record = json.loads((store.runs / f"{first['run']}.json").read_bytes())
    assert (record["state"], record["flow_run"], record["scored_by"]) == ("completed", "", first["model_of"])
    assert [row["stage"] for row in record["stages"]] == ["reference", "score"]
    version = first["places"][0]["version"]
    assert main(["lineage", f"score/{version}", "--json"]) == DONE
    assert f"train/{first['model']}" in {node["id"] for node in document(capsys)["nodes"]}
    assert main(["show", first["run"]]) == DONE
    assert f"the model of run {first['model_of']}" in (told := " ".join(capsys.readouterr().out.split()))
    assert "30 images of images; drift:" in told
    assert "Unknown" not in told
    assert main(["runs"]) == DONE
    assert "digits-scores" in capsys.readouterr().out
    assert main(["show", "latest@digits", "--json"]) == DONE
    assert main(["verify", "--all"]) == DONE
    write_idx(desk / "images", digits.image[:31])
    capsys.readouterr()
    assert predict("latest", "images", "--json") == DONE
    assert not document(capsys)["places"][0]["cached"]


def test_only_what_is_new(home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --new each file is named once, a changed one again; --out then has all, and is written anew."""
    write_pictures(desk / "inbox", digits, 3)
    (desk / "inbox" / "notes.txt").write_text("nothing")
    words = ("latest", "inbox", "--new", "--out", "all.parquet", "--json")
    assert predict(*words) == DONE
    assert [row["file"] for row in document(capsys)["answers"] if row["predicted"]] == ["000.png", "001.png", "002.png"]
    assert predict(*words) == DONE
    assert document(capsys)["places"] == []
    write_pictures(desk / "inbox", digits, 2, first=3)
    Image.fromarray(digits.image[9]).save(desk / "inbox" / "000.png")
    assert predict(*words) == DONE
    assert [row["file"] for row in document(capsys)["answers"]] == ["000.png", "003.png", "004.png"]
    rows = pq.read_table(desk / "all.parquet").to_pylist()
    assert sorted(row["file"] for row in rows) == sorted(
        ["000.png", "001.png", "002.png", "notes.txt", "000.png", "003.png", "004.png"]
    )
    assert predict("latest", "inbox", "--new") == DONE
    assert "Nothing new." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["latest", "nowhere"], "nothing there"),
        (["latest", "new", "--out", "all.txt"], r"expected the ending .csv or .parquet"),
        (["latest", "new", "--out", "there.csv"], "a file that is there"),
        (["latest", "new", "--out", "no/such.csv"], "a folder that is there"),
        (["latest", "new", "--fit", "squeeze"], "--fit: expected 'exact', 'pad' or 'stretch'"),
        (["champion", "new"], "champion"),
        (["latest"], "PATH"),
    ],
)
def test_what_is_refused(
    words: list[str], said: str, home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path where nothing lies, a file that would be replaced, a wrong word: an error says so, and nothing is lost."""
    write_pictures(desk / "new", digits, 1)
    (desk / "there.csv").write_text("mine")
    before = sorted((home / "runs").iterdir())
    assert predict(*words) == WRONG_USAGE
    assert said.replace("\\", "") in capsys.readouterr().err.replace("\n", " ")
    assert (desk / "there.csv").read_text() == "mine"
    assert sorted((home / "runs").iterdir()) == before


def test_a_place_without_an_image_fails(
    home: Path, run: ArchivedRun, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where every file is refused the command fails, with the reason; --fit takes pictures of another size."""
    large = np.pad(digits.image[0], 4)
    Image.fromarray(large).save(desk / "large.png")
    assert predict("latest", "large.png") == FAILED
    assert "16 x 16 pixels" in capsys.readouterr().out
    assert predict("latest", "large.png", "--fit", "pad", "--json") == DONE
    halved = np.asarray(Image.fromarray(large).resize((8, 8), Image.Resampling.BILINEAR))
    assert document(capsys)["answers"][0]["predicted"] == run.predict(halved).name[0]


def test_neither_tensorflow_nor_prefect_nor_pandas_is_imported(home: Path, digits: Any, desk: Path) -> None:
    """Their imports take longer than to name tens of thousands of images."""
    write_idx(desk / "images", digits.image)
    program = (
        "import sys; from idxflow.cli.main import main\n"
        "code = main(['predict', 'latest', 'images', '--out', 'all.csv'])\n"
        "heavy = {'tensorflow', 'keras', 'prefect', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(code or (str(heavy) if heavy else 0))"
    )
    run_python("-c", program, cwd=desk, environment=bare_environment())


def test_notebooks_have_the_same(home: Path, digits: Any, desk: Path) -> None:
    """`store.predict` returns the answers as a table, and what was said of each place."""
    from idxflow.api import open_store

    write_idx(desk / "images", digits.image[:20])
    store = open_store(home)
    answers = store.predict("latest", desk / "images")
    assert (answers.images, answers.refused) == (20, 0)
    assert repr(answers).startswith("<answers for 20 images by model ")
    frame = answers.to_pandas()
    assert list(frame["predicted"]) == [row["predicted"] for row in answers.table().to_pylist()]
    assert answers.so_far().num_rows == 20


def test_an_exported_model_says_the_same(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that was exported names images as its run does, in a store that has never seen the run."""
    write_idx(desk / "images", digits.image[:50])
    assert main(["export", "latest", "model"]) == DONE
    capsys.readouterr()
    assert predict("latest", "images", "--json") == DONE
    own = document(capsys)
    other = str(desk / "other")
    assert predict("model", "images", "--home", other, "--json") == DONE
    found = document(capsys)
    for row in (*found["answers"], *own["answers"]):
        del row["answered"]
    assert found["answers"] == own["answers"]
    assert (found["model_of"], found["dataset"]) == ("model", "digits")
    assert found["accuracy"] == own["accuracy"] is not None
    assert predict("model", "images", "--new", "--home", other) == DONE
    assert "Nothing new." in capsys.readouterr().out
    (desk / "model" / "model.keras").write_bytes(b"another")
    assert predict("model", "images", "--home", other) == FAILED
    assert "model/model.keras: expected what SHA256SUMS says" in capsys.readouterr().err
    assert predict(str(desk), "images") == WRONG_USAGE
    assert "a folder that `idxflow export` has written" in " ".join(capsys.readouterr().err.split())


def test_a_place_is_the_same_however_it_is_written(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With or without a slash, relative or absolute: what was named is not new, and the file of answers stays whole."""
    write_pictures(desk / "inbox", digits, 2)
    write_pictures(desk / "copy", digits, 2)
    for place in ("inbox", "inbox/", "./inbox", str(desk / "inbox")):
        assert predict("latest", place, "--new", "--out", "all.parquet") == DONE
        assert [row["file"] for row in pq.read_table(desk / "all.parquet").to_pylist()] == ["000.png", "001.png"]
    capsys.readouterr()
    assert predict("latest", "copy", "inbox", "inbox/", "--json") == DONE
    found = document(capsys)
    assert [place["name"] for place in found["places"]] == ["copy", "inbox"]
    shutil.copy(desk / "inbox" / "000.png", desk / "other.png")
    assert predict("latest", "inbox/000.png", "other.png", "--json") == DONE
    assert [row["file"] for row in document(capsys)["answers"]] == ["000.png", "other.png"]


def test_another_question_is_asked_again(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture that was refused for its size is named with --new once --fit says how, and an archive only once."""
    (desk / "inbox").mkdir()
    Image.fromarray(np.pad(digits.image[0], 4)).save(desk / "inbox" / "large.png")
    write_pictures(desk / "inbox", digits, 1)
    shutil.make_archive(str(desk / "packed"), "zip", desk / "inbox")
    assert predict("latest", "inbox", "--new", "--json") == DONE
    assert [row["predicted"] is None for row in document(capsys)["answers"]] == [False, True]
    assert predict("latest", "inbox", "--new", "--fit", "pad", "--json") == DONE
    assert all(row["predicted"] for row in document(capsys)["answers"])
    assert predict("latest", "packed.zip", "--new") == DONE
    capsys.readouterr()
    assert predict("latest", "packed.zip", "--new") == DONE
    assert "Nothing new." in capsys.readouterr().out


def test_a_clean_up_leaves_what_was_named(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a model has said stays as long as the model: else files would be named once more, and answers be lost."""
    for first in (0, 2, 4):
        write_pictures(desk / "inbox", digits, 2, first=first)
        assert predict("latest", "inbox", "--new") == DONE
    assert main(["gc", "--keep", "1", "--yes"]) == DONE
    capsys.readouterr()
    write_pictures(desk / "inbox", digits, 1, first=6)
    assert predict("latest", "inbox", "--new", "--out", "all.parquet", "--json") == DONE
    assert [row["file"] for row in document(capsys)["answers"]] == ["006.png"]
    assert pq.read_table(desk / "all.parquet").num_rows == 7


def test_answers_are_not_written_into_what_is_named(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next call would take them for new images."""
    write_pictures(desk / "inbox", digits, 1)
    assert predict("latest", "inbox", "--out", "inbox/all.csv") == WRONG_USAGE
    assert "expected a file elsewhere" in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_is_called_as_a_word_of_the_store(home: Path, digits: Any, desk: Path) -> None:
    """The store's words come first: a folder `latest` changes nothing."""
    (desk / "latest").mkdir()
    write_pictures(desk / "inbox", digits, 1)
    assert predict("latest", "inbox") == DONE


def test_no_other_file_is_replaced(home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --new a file of the same places is written again, with all rows; anything else stays, and is an error."""
    write_pictures(desk / "inbox", digits, 2)
    write_pictures(desk / "other", digits, 1)
    (desk / "notes.csv").write_text("my,precious,notes\n")
    words = ("latest", "inbox", "--new", "--out")
    for name, said in (("notes.csv", "found another one"), ("all.csv", "about other places")):
        if name == "all.csv":
            assert predict(*words, name) == DONE
            assert "2 rows" in capsys.readouterr().out
            write_pictures(desk / "inbox", digits, 1, first=2)
            assert predict(*words, name) == DONE
            assert "3 rows, 1 of them new" in capsys.readouterr().out
            assert predict("latest", "other", "--new", "--out", name) == WRONG_USAGE
            assert f"one with answers about {desk / 'inbox'}" in " ".join(capsys.readouterr().err.split())
        else:
            assert predict(*words, name) == WRONG_USAGE
            assert said in " ".join(capsys.readouterr().err.split())
    assert (desk / "notes.csv").read_text() == "my,precious,notes\n"
    with (desk / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["place"] for row in rows} == {str(desk / "inbox")}
    assert all(row["answered"].startswith("20") for row in rows)


def test_what_failed_before_is_not_a_newer_model(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call that named nothing, or failed, is no run that `latest` would have to pass over with a warning."""
    (desk / "empty").mkdir()
    write_pictures(desk / "inbox", digits, 1)
    for place in ("empty", "inbox"):
        assert predict("latest", place) == DONE
    caught = capsys.readouterr()
    assert "the newer run" not in caught.out + caught.err


def test_reasons_that_matter_come_first(home: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an operating system has left behind is told last, and of another size what scales it."""
    (desk / "inbox").mkdir()
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (desk / "inbox" / name).write_text("x")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(desk / "inbox" / "large.png")
    assert predict("latest", "inbox") == FAILED
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Refused:")]
    assert "9 x 9 pixels, not 8 x 8. --fit pad or --fit stretch scales them" in told[0]


def test_of_many_places_all_together_is_printed(
    home: Path, digits: Any, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of more than five paths the images are counted once, and each still has its line."""
    write_pictures(desk / "new", digits, 7)
    assert predict("latest", *(f"new/00{at}.png" for at in range(7))) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("Images:")] == [["Images:", "7", "in", "7", "places"]]
    assert sum(line.startswith("00") for line in lines) == 7
