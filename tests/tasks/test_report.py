"""The report: one page of its own, true to its inputs, the same for the same inputs, whatever a class is called."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread

from artifacts.keys import plain
from schemas.datasets import Proof
from schemas.image_table import ImageTable
from schemas.parameters import Parameters
from schemas.results import ClassMetrics, Metrics, SplitMetrics
from schemas.training import PROFILES, Training
from tasks.explaining.profiles import nearest_profile
from tasks.explaining.wrong import fill_cells, png_address
from tasks.report import (
    find_images,
    first_of_each_class,
    list_settings,
    most_confused,
    shrink,
    worst_mistakes,
)
from tests.tasks.report_inputs import Inputs, bind, build_inputs, write_history, write_scores

ELSEWHERE: dict[str, Any] = {
    "mirrors": ("https://elsewhere.example/",), "profile": "tuned", "memory": 12_345,
    **dict.fromkeys(("identity", "place", "home", "dataset", "described_in", "shard", "trusted_as"), "elsewhere"),
}  # fmt: skip
"""Another value of each field that is in no key."""
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "</style></svg></table>",
    "]]><!-- &amp; &lt;",
    r"$\frac{1}{$",
    "{{ page.training }}{% raw %}",
    "あ い",
    "&#x202e;one%0atwo",
    "a very long name " * 11,
    "'; } * { display: none",
)


class Outline(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Note a tag's end."""
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """What report takes, of the bundled digits."""
    return build_inputs(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def out(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of these inputs."""
    folder = tmp_path_factory.mktemp("report") / "out"
    inputs.report(folder)
    return folder


@pytest.fixture
def page(out: Path) -> str:
    """Its page."""
    return (out / "report.html").read_text(encoding="utf-8")


def embedded(page: str) -> Iterator[bytes]:
    """Yield the figures that a page holds."""
    for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page):
        yield base64.b64decode(data, validate=True)


def test_the_page_asks_for_nothing(page: str) -> None:
    """Neither the page nor a figure in it refers to anything outside of itself, and the page forbids it as well."""
    outline = Outline(page)
    links = [
        value for name, value in outline.attributes if name in {"src", "href", "srcset", "action", "data", "style"}
    ]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "script" not in outline.tags
    assert not re.search(r"@import|url\(|https?:", page)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    for svg in embedded(page):
        elements = list(ElementTree.fromstring(svg).iter())
        links = [value for one in elements for name, value in one.attrib.items() if name.endswith("href")]
        assert all(link.startswith(("#", "data:")) for link in links)
        assert set(re.findall(rb'"https?:[^"]+"', svg)) == {
            b'"http://www.w3.org/1999/xlink"',
            b'"http://www.w3.org/2000/svg"',
        }


def test_links_within_the_page_have_a_target(page: str) -> None:
    """Every entry of the contents leads to a section, every cell to its images, back too; every id is there once."""
    attributes = Outline(page).attributes
    ids = [value for name, value in attributes if name == "id"]
    links = [value.removeprefix("#") for name, value in attributes if name == "href" and value.startswith("#")]
    assert set(links) == set(ids)
    assert len(set(ids)) == len(ids)


def test_the_figures_lie_beside_the_page(out: Path, page: str) -> None:
    """The page holds the very figures that are stored beside it, each with an alternative text."""
    figures = {path.name: path.read_bytes() for path in out.glob("*.svg")}
    assert figures.keys() == {
        "loss.svg",
        "accuracy.svg",
        "samples.svg",
        "confusion.svg",
        "mistakes.svg",
        "hints.svg",
        "reliability.svg",
    }
    shown = [figure for name, figure in figures.items() if name != "confusion.svg"]  # a table, where classes are few
    assert sorted(embedded(page)) == sorted(shown)
    texts = [value for name, value in Outline(page).attributes if name == "alt"]
    assert len(texts) == len(shown) + page.count('src="data:image/png;base64,')
    assert all(texts)
    assert len(page) < 300_000


def test_every_wrong_image_is_within_reach(inputs: Inputs, page: str) -> None:
    """Each cell of the matrix leads to its images, pixel for pixel, with both probabilities, the highest loss first."""
    rows = pq.read_table(inputs.scores.file("predictions.parquet")).to_pylist()
    wrong = sorted(
        (row for row in rows if row["split"] == "test" and row["label"] != row["predicted"]),
        key=lambda row: (-row["loss"], row["sample_id"]),
    )
    pixels = {int(one): image for batch in ImageTable(inputs.tables["test"].file()).batches()
              for one, image in zip(batch.sample_id, batch.image, strict=True)}  # fmt: skip
    blocks = dict(re.findall(r'<div class="cell" id="(as-\d+-\d+)">(.*?)Back to the matrix', page, re.DOTALL))
    assert wrong
    assert blocks.keys() == {f"as-{row['label']}-{row['predicted']}" for row in wrong}
    for anchor, block in blocks.items():
        expected = [row for row in wrong if f"as-{row['label']}-{row['predicted']}" == anchor]
        link = re.search(rf'<td class="wrong\d"><a href="#{anchor}"[^>]*>(\d+)</a></td>', page)
        assert link
        assert int(link[1]) == len(expected)
        found = re.findall(r'png;base64,([^"]+)".*?<figcaption>(\d+)<br>(.*?)</figcaption>', block, re.DOTALL)
        assert [int(sample) for _, sample, _ in found] == [row["sample_id"] for row in expected]
        for row, (image, _, told) in zip(expected, found, strict=True):
            both = (row["predicted"], row["probability"]), (row["label"], math.exp(-row["loss"]))
            assert told == "<br>".join(f"{name}: {100 * share:.1f}\N{NO-BREAK SPACE}%" for name, share in both)
            seen = imread(BytesIO(base64.b64decode(image)), format="png")
            assert (np.rint(seen * 255).astype(np.uint8).ravel() == pixels[row["sample_id"]]).all()


def test_where_there_is_no_room_the_highest_losses_are_shown(inputs: Inputs) -> None:
    """A cell then has fewer images than it counts, or none, and the page says how many it shows."""
    mistakes = worst_mistakes(inputs.scores.file("predictions.parquet"), 100)
    images = find_images(ImageTable(inputs.tables["test"].file()), [one.sample_id for one in mistakes])
    pairs = Counter((one.true, one.predicted) for one in mistakes)
    every = [(*pair, count) for pair, count in pairs.items()]
    cells = fill_cells([*every, (0, 0, 5)], mistakes, images, most=3 * len(png_address(images[mistakes[0].sample_id])))
    shown = {one.sample_id for cell in cells for one in cell.images}
    assert 2 <= len(shown) <= 4
    assert shown == {one.sample_id for one in mistakes[: len(shown)]}
    assert [(cell.true, cell.predicted, cell.count) for cell in cells] == sorted(every)


def test_a_picture_in_the_page_is_a_png() -> None:
    """Grey and colour, of one pixel or many, are read back as they were."""
    for shape in ((1, 1), (7, 5), (64, 3), (4, 6, 3)):
        image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        seen = imread(BytesIO(base64.b64decode(png_address(image).partition(",")[2])), format="png")
        assert (np.rint(seen * 255).astype(np.uint8) == image).all()


def otherwise(value: Any) -> Any:
    """Return parameters with another value of each field that is outside of the key, at any depth."""
    match value:
        case Parameters():
            others = {name: ELSEWHERE[name] for name in value.outside_key}
            fields = type(value).model_fields.keys() - value.outside_key
            return value.model_copy(update={**{name: otherwise(getattr(value, name)) for name in fields}, **others})
        case tuple():
            return tuple(map(otherwise, value))
        case dict():
            return {name: otherwise(each) for name, each in value.items()}
    return value


def test_the_same_inputs_give_the_same_page(inputs: Inputs, out: Path, tmp_path: Path) -> None:
    """What is in no cache key (each field outside of it, versions, manifests, names) changes no byte of any file."""
    again = inputs.but(
        dataset=otherwise(inputs.dataset),
        training=otherwise(inputs.training),
        model=inputs.model.model_copy(update={"version": "f" * 16, "manifest": "f" * 64, "name": "other"}),
    )
    assert plain(again.dataset) == plain(inputs.dataset)
    assert again.training.memory != inputs.training.memory
    again.report(tmp_path / "again")
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_the_page_tells_the_metrics(inputs: Inputs, page: str) -> None:
    """Headline, halves and every class's figures are those of the metrics."""
    metrics = Metrics.model_validate_json(inputs.scores.file("metrics.json").read_bytes())
    text = Outline(page).text
    for share in (metrics.test.accuracy, metrics.train.accuracy, *metrics.test.halves):
        assert f"{100 * share:.2f}\N{NO-BREAK SPACE}%" in text
    assert f"{metrics.test.loss:.4f}" in text
    rows = [re.sub(r"<[^>]+>|\s*\n\s*", "|", row).strip("|") for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    rows = [re.sub(r"\|+", "|", row) for row in rows]
    for one in metrics.test.classes:
        precision, recall, f1 = (
            f"{100 * value:.2f}\N{NO-BREAK SPACE}%" for value in (one.precision, one.recall, one.f1)
        )
        assert one.interval
        interval = " to ".join(f"{100 * end:.1f}\N{NO-BREAK SPACE}%" for end in one.interval)
        assert "|".join([one.name, precision, recall, interval, f1, str(one.support)]) in rows


def test_the_page_tells_where_the_bytes_come_from(inputs: Inputs, page: str) -> None:
    """Each file's name, size, SHA-256 and CRC-32 are there, and the digest of each artifact."""
    text = Outline(page).text
    for ref in inputs.proofs:
        proof = Proof.model_validate_json(ref.file("proof.json").read_bytes())
        for shown in (proof.name, f"{proof.bytes:,}", proof.sha256, f"{proof.crc32}", f"{proof.raw_size_mod_2_32:,}"):
            assert shown in text
    refs = [*inputs.tables.values(), *inputs.profiles.values(), inputs.normalizer, inputs.model, inputs.scores]
    assert all(ref.digest in text for ref in refs)
    assert f"idxflow show {inputs.model.digest[:12]}" in text


def test_a_file_without_a_crc_is_shown_without_one(inputs: Inputs, tmp_path: Path) -> None:
    """Of a raw or `.xz` file, which has no CRC-32 of gzip, the page says that none is stored."""
    proof = Proof.model_validate_json(inputs.proofs[0].file("proof.json").read_bytes())
    bare = proof.model_copy(update={"crc32": None, "raw_size_mod_2_32": None})
    (tmp_path / "verify").mkdir()
    (tmp_path / "verify" / "proof.json").write_text(bare.model_dump_json())
    page = Outline(inputs.but(proofs=[bind("verify", tmp_path / "verify")]).report(tmp_path / "out")).text
    assert page.count("not stored") == 2
    assert f"{proof.crc32}" not in page


def test_hostile_class_names_stay_text(page: str, tmp_path: Path) -> None:
    """Class names with markup, formulas, template code or character references add no tag, to the page or a figure."""
    hostile = build_inputs(tmp_path / "home", HOSTILE).report(tmp_path / "out")
    assert Outline(hostile).tags == Outline(page).tags
    for name in HOSTILE:
        assert name.strip() in Outline(hostile).text
    for svg in embedded(hostile):
        assert {one.tag.rpartition("}")[2] for one in ElementTree.fromstring(svg).iter()} <= {
            *("svg", "style", "defs", "g", "path", "use", "text", "image", "clipPath", "rect")
        }


def test_a_model_without_mistakes(inputs: Inputs, tmp_path: Path) -> None:
    """Where every test image is named right, the page says so, and there is no figure of mistakes."""
    tables = {split: ImageTable(ref.file()) for split, ref in inputs.tables.items()}
    page = inputs.but(scores=write_scores(tmp_path / "evaluate", tables, perfect=True)).report(tmp_path / "out")
    assert "every test image was named right" in page
    assert "No test image was taken for another class" in page
    assert not (tmp_path / "out" / "mistakes.svg").exists()


def test_a_run_without_validation(inputs: Inputs, tmp_path: Path) -> None:
    """A single epoch and no rows held out: the page says so instead of a validation figure."""
    page = inputs.but(model=write_history(tmp_path / "train", epochs=1, held_out=False)).report(tmp_path / "out")
    assert "No rows were held out" in page
    assert ">validation<" not in (tmp_path / "out" / "loss.svg").read_text()


def test_a_model_of_an_earlier_epoch(inputs: Inputs, tmp_path: Path) -> None:
    """Where early stopping went back to an epoch, the words, both curves and their alternative texts say to which."""
    training = Training(epochs=4, patience=2)
    page = inputs.but(model=write_history(tmp_path / "train", kept=2), training=training).report(tmp_path / "out")
    assert "The model is from epoch 2 of 4." in Outline(page).text
    told = [
        value for name, value in Outline(page).attributes if name == "alt" and "The model is from epoch 2." in value
    ]
    assert len(told) == 2
    for name in ("loss", "accuracy"):
        assert ">model from epoch 2<" in (tmp_path / "out" / f"{name}.svg").read_text()


def test_the_worst_mistakes_are_the_worst(inputs: Inputs, tmp_path: Path) -> None:
    """They are the wrong test predictions of highest loss, in that order, however the file is cut into row groups."""
    rows = pq.read_table(inputs.scores.file("predictions.parquet"))
    pq.write_table(rows, tmp_path / "cut.parquet", row_group_size=50)
    wrong = [row for row in rows.to_pylist() if row["split"] == "test" and row["label"] != row["predicted"]]
    expected = sorted(wrong, key=lambda row: (-row["loss"], row["sample_id"]))[:7]
    found = worst_mistakes(tmp_path / "cut.parquet", 7)
    assert [(one.sample_id, one.true, one.predicted, one.probability, one.loss) for one in found] == [
        (row["sample_id"], row["label"], row["predicted"], row["probability"], row["loss"]) for row in expected
    ]


def test_images_are_found_by_class_and_by_id(inputs: Inputs) -> None:
    """The first image of each class, and images by their ids, are those of the table, in its shape."""
    table = ImageTable(inputs.tables["train"].file())
    whole = table.read()
    first = first_of_each_class(table, range(10))
    assert list(first) == list(range(10))
    for label, image in first.items():
        np.testing.assert_array_equal(image, whole.image[np.flatnonzero(whole.label == label)[0]].reshape(8, 8))
    assert list(first_of_each_class(table, {7, 2})) == [2, 7]
    found = find_images(table, [1499, 3])
    assert found.keys() == {3, 1499}
    np.testing.assert_array_equal(found[1499], whole.image[1499].reshape(8, 8))


def test_large_images_are_drawn_small() -> None:
    """Above 256 pixels a side a picture has the means of squares, to the edge; a smaller one is drawn as it is."""
    image = np.random.default_rng(7).integers(0, 256, (256, 3), np.uint8)
    assert shrink(image) is image
    large = np.kron(image, np.ones((4, 4), np.uint8))[:-1, :-3]
    np.testing.assert_array_equal(shrink(large), image)
    np.testing.assert_array_equal(shrink(np.array([[0, 255] * 2048], np.uint8)), np.full((1, 256), 128))


def test_large_colours_are_made_smaller() -> None:
    """Each channel shrinks by itself, to fewer pixels than grey has, and a small image is drawn as it is."""
    large = np.random.default_rng(6).integers(0, 256, (300, 700, 3), np.uint8)
    small = shrink(large)
    assert (small.dtype.name, small.shape) == ("uint8", (60, 140, 3))
    np.testing.assert_array_equal(small[7, 9], np.rint(large[35:40, 45:50].mean(axis=(0, 1))))
    assert shrink(large[:31, :149]).shape == (16, 75, 3)
    assert shrink(large[:31, :148]).shape == (31, 148, 3)


def test_the_most_frequent_confusions() -> None:
    """Pairs come by their count, then in class order; right predictions and empty cells are none."""
    confusion = ((9, 2, 0), (5, 8, 2), (0, 0, 7))
    classes = tuple(
        ClassMetrics(name=name, support=sum(row), precision=0, recall=0, f1=0)
        for name, row in zip("abc", confusion, strict=True)
    )
    metrics = SplitMetrics(
        samples=33, accuracy=0, loss=0, classes=classes, confusion=confusion, halves=(0, 0), first_labels=(),
        first_predictions=(),
    )  # fmt: skip
    found = [(one.true, one.predicted, one.count, one.support) for one in most_confused(metrics)]
    assert found == [("b", "a", 5, 15), ("a", "b", 2, 11), ("b", "c", 2, 15)]
    assert len(most_confused(metrics, 2)) == 2


def test_settings_name_what_differs_from_the_profile() -> None:
    """Each field is there with its value; one that differs from the profile carries the profile's value too."""
    profile, usual = nearest_profile(training := Training(epochs=7, hidden=()))
    settings = {one.name: one for one in list_settings(training, usual)}
    assert profile == "tutorial"
    assert settings.keys() == Training.model_fields.keys() - Training.outside_key
    assert {name: (one.value, one.usual) for name, one in settings.items() if one.usual} == {
        "epochs": ("7", "50"),
        "hidden": ("none", "50, 50"),
    }
    assert nearest_profile(Training()) == ("tutorial", {})
    tuned = Training(profile="tuned").model_dump(exclude={"profile"})
    assert nearest_profile(Training.model_validate({**tuned, "epochs": 3})) == (
        "tuned",
        {"epochs": PROFILES["tuned"]["epochs"]},
    )
