"""What notebooks show: pieces of HTML that stand alone, and in which nothing from outside is markup."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artifacts.store.store import Store
from idxflow.api import Archive, ArchivedRun
from idxflow.comparing.images import Images, Predictions
from idxflow.views.notebook import _stored_figures
from schemas.counts import counted
from schemas.results import Caveat
from schemas.training import EpochRow, Training
from tests.artifacts.archive.history import write_run
from tests.artifacts.building import flip_unseen
from tests.flows.walking import walk
from tests.idxflow.comparing.compared_runs import finished_run

LARGEST = 200_000
"""Characters of a piece."""
NAME = "<b>bold</b>"
"""Of a class or a set, from outside."""
PIECES: dict[str, Callable[[Archive], object]] = {
    "store": lambda archive: archive,
    "run": lambda archive: archive.run(),
    "images": lambda archive: archive.run().table("test"),
    "normalized images": lambda archive: archive.run().table("test", "normalized"),
    "predictions": lambda archive: archive.run().predict(archive.run().table("test").image),
    "history": lambda archive: archive.run().history,
    "comparison": lambda archive: archive.compare("latest", "latest"),
    "hints": lambda archive: archive.run().hints(5),
}


@pytest.fixture
def own(kept: Archive, desk: Path) -> Archive:
    """A copy of the store, to be changed."""
    return Archive(Store(shutil.copytree(kept.store.home, desk / "own")))


def shown(value: object) -> str:
    """What a notebook shows of a value."""
    html = value._repr_html_()  # type: ignore[attr-defined]
    assert isinstance(html, str)
    return html


class Reader(HTMLParser):
    """Reads HTML: what it asks for, its text, and whether each element that is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags, self.addresses, self.texts = list[str](), list[str](), list[str]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and where it leads."""
        self.tags.append(tag)
        if tag not in {"img", "br"}:
            self.open.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        """Close the last element."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


@pytest.mark.parametrize("name", PIECES)
def test_a_piece_stands_alone(name: str, kept: Archive) -> None:
    """It is small, well formed, runs no script, and asks for nothing: figures are inside, links lead to files."""
    html = shown(PIECES[name](kept))
    assert len(html) < LARGEST
    read = Reader(html)
    assert not read.open
    assert not {"script", "link", "iframe", "object"} & set(read.tags)
    assert "@import" not in html
    assert "url(" not in html
    for address in read.addresses:
        assert address.startswith(("data:image/svg+xml;base64,", "data:image/png;base64,", "file:///", "http://127."))


def test_a_run_shows_what_it_is_worth(run: ArchivedRun) -> None:
    """The accuracy as the record has it, the curves and the confusion of the report, and the images that tell most."""
    read = Reader(shown(run))
    assert f"{run.metrics.test.accuracy:.2%}".replace("%", " %") in read.texts
    figures = [address for address in read.addresses if address.startswith("data:image/svg")]
    stored = run.artifact("report").folder
    assert [base64.b64decode(figure.partition(",")[2]) for figure in figures] == [
        (stored / f"{name}.svg").read_bytes() for name in ("loss", "accuracy", "confusion")
    ]
    rows = [row for row in run.predictions().to_pylist() if row["split"] == "test"]
    least = min(rows, key=lambda row: (row["probability"], row["sample_id"]))
    pictures = [picture(each) for each in read.addresses if each.startswith("data:image/png")]
    assert len(pictures) == 16
    np.testing.assert_array_equal(pictures[8], run.table("test").image[least["sample_id"]])


def picture(address: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The pixels of a `data:` address."""
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as found:
        return np.asarray(found, np.uint8)


def test_pictures_are_the_images(run: ArchivedRun) -> None:
    """Each picture of a split has the pixels of its image, in order, under its class."""
    images = run.table("train")
    read = Reader(shown(images))
    pictures = [picture(address) for address in read.addresses]
    np.testing.assert_array_equal(pictures, images.image[: len(pictures)])
    names = [text for text in read.texts if re.fullmatch("[0-9]", text)]
    assert names == [images.classes[label] for label in images.label[: len(pictures)]]


def images_of(shape: tuple[int, ...], classes: tuple[str, ...] = ("a", "b")) -> Images:
    """Noise, which no format makes smaller."""
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    return Images(np.arange(shape[0], dtype=np.uint32), np.arange(shape[0], dtype=np.uint16) % 2, pixels, classes)


@pytest.mark.parametrize("shape", [(60, 300, 200, 3), (3, 1, 1), (1, 28, 28), (0, 8, 8), (40, 48, 48)], ids=str)
def test_images_of_any_size_are_shown_small(shape: tuple[int, ...]) -> None:
    """Large and many images give a small piece, and none at all give one without pictures."""
    html = shown(images_of(shape))
    assert len(html) < LARGEST
    read = Reader(html)
    assert (not read.addresses) == (shape[0] == 0)
    assert all(max(picture(address).shape[:2]) <= 48 for address in read.addresses)


@pytest.mark.parametrize("name", [NAME, "\x1b[31mred", "\u202egnp", '"><script>x</script>', "{{ 7 * 7 }}"])
def test_names_from_outside_are_text(name: str, desk: Path) -> None:
    """A class, set or setting that looks like markup is shown as it is spelt, and marks that steer are written out."""
    store = Store(desk / ".idxflow")
    finished_run(store, "a" * 12, classes=(name, "dog", "owl"), dataset=name)
    other = Training(hidden=(9,))
    finished_run(store, "b" * 12, (0, 1, 0, 1, 2, 0), classes=(name, "dog", "owl"), dataset=name, training=other)
    write_run(store, "c" * 12, minute=9, dataset=name, caveats=(Caveat(kind="leak", message=name),), warnings=(name,))
    archive = Archive(store)
    predictions = Predictions(np.array([0]), (name,), np.array([[0.75, 0.25]], np.float32), (name, name))
    compared, images = archive.compare("a" * 12, "b" * 12), images_of((2, 8, 8), (name, name))
    for value in (archive, archive.run("c" * 12), compared, images, predictions):
        read, plain = Reader(shown(value)), name.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
        assert not {"b", "script"} & set(read.tags)
        assert plain in "".join(read.texts)


def test_a_comparison_shows_the_images_that_one_gets_right(own: Archive) -> None:
    """Those of the test split, at most eight a side, with what the other model takes them for."""
    walk(own.store, "b" * 12, Training(epochs=3), minute=1)
    compared = own.compare("a" * 12, "b" * 12)
    assert compared.disagreement
    read, images = Reader(shown(compared)), own.run().table("test")
    disputed = [*compared.disagreement.only_a_right[:8], *compared.disagreement.only_b_right[:8]]
    assert len(disputed) == len(read.addresses) > 0
    for one, address in zip(disputed, read.addresses, strict=True):
        np.testing.assert_array_equal(picture(address), images.image[one.sample_id])
    captions = [
        (one, other) for one, other in zip(read.texts, read.texts[1:], strict=False) if other.startswith("not ")
    ]
    wrong = [one.predicted_b if one.predicted_a == one.label else one.predicted_a for one in disputed]
    assert captions == [(one.label, f"not {name}") for one, name in zip(disputed, wrong, strict=True)]


def test_a_page_of_a_comparison_has_all_of_them(own: Archive) -> None:
    """As a page of its own it shows every image that only one of the two gets right, and how many these are."""
    walk(own.store, "b" * 12, Training(epochs=3), minute=1)
    compared = own.compare("a" * 12, "b" * 12)
    assert compared.disagreement
    page = compared.to_html()
    body = page.partition("<body>")[2].partition("</body>")[0]
    read, images = Reader(body), own.run().table("test")
    disputed = [*compared.disagreement.only_a_right, *compared.disagreement.only_b_right]
    assert len(disputed) == len(read.addresses) > 8
    for one, address in zip(disputed, read.addresses, strict=True):
        np.testing.assert_array_equal(picture(address), images.image[one.sample_id])
    assert f"Only B gets right, {counted(compared.disagreement.c, 'image')}" in read.texts
    assert "script" not in read.tags


@pytest.mark.parametrize("images", [3, 30])
def test_answers_about_new_images_are_shown(images: int, own: Archive, desk: Path) -> None:
    """Of each place how many, how sure and whether they have drifted; each of a few images, else the least sure."""
    place = desk / "<b>new.npz"
    np.savez(place, images=own.run().table("test").image[:images])
    read = Reader(shown(own.predict("latest", place)))
    assert not {"b", "img"} & set(read.tags)
    assert str(place) in read.texts
    assert str(images) in read.texts
    assert ("Every image" if images == 3 else "The least sure images") in read.texts
    recorded = Reader(shown(own.runs()[0])).texts
    assert str(place) in recorded
    assert f"new images named by the model of run {own.run().id}" in " ".join(recorded)


def test_a_figure_that_is_too_large_is_left_to_the_report(run: ArchivedRun) -> None:
    """A confusion with a count in each of many cells: the piece stays small, and has the rest, and the link."""
    figures = [address for address in Reader(shown(run)).addresses if address.startswith("data:image/svg")]
    assert len(figures) == 3
    limit = sum(map(len, figures[:2])) + len(figures[2]) - 1
    assert [len(column) for column in _stored_figures(run, limit)] == [2]
    assert [len(column) for column in _stored_figures(run, limit + 1)] == [2, 1]


def test_an_address_of_a_record_leads_to_the_web_only(desk: Path) -> None:
    """A dashboard that is no web address is no link."""
    store = Store(desk / ".idxflow")
    record = write_run(store, "a" * 12).model_copy(update={"dashboard": "javascript:alert(1)"})
    assert not Reader(shown(ArchivedRun(store, record))).addresses


def test_a_report_is_found_from_the_notebook(kept: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the working folder its address is relative, as notebooks' servers give files out."""
    monkeypatch.chdir(kept.store.home.parent)
    (address,) = [each for each in Reader(shown(kept)).addresses if "report" in each]
    assert Path(address).is_file()
    assert not Path(address).is_absolute()


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_run_without_a_model_is_shown(state: str, desk: Path) -> None:
    """What there is of it: its state, and the error."""
    store = Store(desk / ".idxflow")
    write_run(store, "a" * 12, state=state)
    texts = " ".join(Reader(shown(Archive(store).runs()[0])).texts)
    assert {"running": "killed", "failed": "it broke"}[state] in texts


def test_a_run_whose_artifacts_are_gone_or_damaged_says_so(own: Archive) -> None:
    """It is shown as its record knows it, with a note of what cannot be shown."""
    store = own.store
    flip_unseen(next(store.artifacts.glob("evaluate/*/predictions.parquet")))
    assert "predictions.parquet: expected SHA-256" in shown(Archive(store).run())
    shutil.rmtree(store.artifacts / "evaluate")
    assert "expected it to be in the store, found none" in shown(Archive(store).run())


def test_a_store_shows_its_newest_runs(desk: Path) -> None:
    """Ten of them, with accuracy and interval; one that is empty shows none."""
    store = Store(desk / ".idxflow")
    assert "0 runs." in shown(Archive(store))
    for minute in range(12):
        write_run(store, f"{minute:x}" * 12, minute=minute)
    texts = Reader(shown(Archive(store))).texts
    assert [text for text in texts if re.fullmatch("(.)\\1{11}", text)] == [f"{n:x}" * 12 for n in range(11, 1, -1)]
    assert texts.count("96.06 %") == 10
    assert "12 runs, the newest 10 here." in texts


def test_a_history_is_a_table(run: ArchivedRun) -> None:
    """A row per epoch, with the columns and figures of curve.csv."""
    found = run.history.to_pandas()
    curve = pd.read_csv(run.artifact("train").ref.file("curve.csv"), index_col="epoch")
    pd.testing.assert_frame_equal(found, curve)
    assert found.index.tolist() == [1, 2]


def test_without_validation_a_history_has_no_numbers_there(run: ArchivedRun) -> None:
    """The twins' columns are there, and empty."""
    bare = run.history.model_copy(update={"epochs": (EpochRow(epoch=1, loss=1.0, accuracy=0.5),), "kept": 1})
    found = bare.to_pandas()
    assert found.dtypes.astype(str).unique().tolist() == ["float64"]
    assert found[["validation_loss", "validation_accuracy"]].isna().all(axis=None)
    assert "data:image/svg" in shown(bare)
