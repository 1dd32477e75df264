"""Figures: SVG of their own, the same for the same arguments, readable on a light and on a dark ground."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest

from schemas.training import EpochRow, History
from tasks.explaining.figures import DARK, Picture, columns_of, draw_confusion, draw_curve, draw_pictures, shorten

IMAGE = np.arange(0, 252, 21, dtype=np.uint8).reshape(3, 4)


def history(epochs: int, kept: int | None = None) -> History:
    """Return a course of training; the model is from epoch `kept`, or of the last one."""
    rows = tuple(
        EpochRow(epoch=i, loss=1 / i, accuracy=1 - 1 / i, validation_loss=2 / i, validation_accuracy=0.9)
        for i in range(1, epochs + 1)
    )
    return History(train_rows=9, validation_rows=1, updates=epochs, kept=kept or epochs, epochs=rows)


def texts(svg: bytes) -> list[str]:
    """Return every text of a figure."""
    return [one.text or "" for one in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def all_figures() -> dict[str, bytes]:
    """Draw one figure of each kind."""
    return {
        "curve": draw_curve(history(3), "accuracy"),
        "marked curve": draw_curve(history(3, kept=2), "accuracy"),
        "confusion": draw_confusion([[8, 2], [0, 9]], ["cat", "dog"], [10, 9]),
        "pictures": draw_pictures([Picture(IMAGE, "cat"), Picture(IMAGE, "dog\nas cat")], 2),
    }


def test_equal_arguments_give_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the clock nor a matplotlibrc leaves a trace, and no date or version is in a figure."""
    before = all_figures()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.hashsalt": "other", "savefig.bbox": "tight"}):
        assert all_figures() == before
    for svg in before.values():
        assert mpl.__version__.encode() not in svg
        assert b"<metadata" not in svg
        assert b"1970" not in svg


@pytest.mark.parametrize("kind", ["curve", "marked curve", "confusion", "pictures"])
def test_every_color_has_a_dark_one(kind: str) -> None:
    """Each colour of a line or letter becomes another on a dark ground; only white ones, on deep cells, stay."""
    _, body = all_figures()[kind].decode().split("</style>", 1)
    used = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", body)) - {"none"}
    assert used
    assert used <= {*DARK, "#ffffff"}
    for color in used - {"#ffffff"}:
        assert f'[style*="fill: {color}"]{{fill:{DARK[color]}!important}}' in all_figures()[kind].decode()


def test_a_curve_has_both_lines() -> None:
    """Train and validation are named and drawn; a single epoch is drawn as a point."""
    svg = draw_curve(history(3), "loss")
    assert {"Loss", "epoch", "train", "validation"} <= set(texts(svg))
    assert b"stroke-dasharray" in svg
    assert draw_curve(history(1), "loss").count(b"<use") > draw_curve(history(2), "loss").count(b"<use")


@pytest.mark.parametrize("kept", [1, 2, 11])
def test_a_curve_marks_the_epoch_of_the_model(kept: int) -> None:
    """An upright line and its label stand at the epoch that the model is from, and neither hides the legend."""
    svg = draw_curve(history(12, kept), "loss")
    upright = [
        [float(x) for x in re.findall(r"[ML] (\S+) \S+", path)]
        for path in re.findall(r'<path d="(M[^"]+)" clip-path[^>]+stroke: #667085', svg.decode())
    ]
    assert len(upright) == 1
    assert len(set(upright[0])) == 1
    assert f"model from epoch {kept}" in texts(svg)


def test_a_curve_marks_no_last_epoch() -> None:
    """A model of the last epoch has neither line nor label: there is nothing to tell."""
    assert not [text for text in texts(draw_curve(history(12), "loss")) if "model" in text]
    assert draw_curve(history(12), "loss") == draw_curve(history(12, kept=12), "loss")


def test_a_confusion_matrix_shows_counts_and_names() -> None:
    """Every count but 0 is there, and every class twice; the cells' depth is the share, right apart from wrong."""
    svg = draw_confusion([[1200, 300, 0], [0, 0, 0], [7, 0, 21]], ["cat", "dog", "$x"], [1500, 0, 28])
    shown = texts(svg)
    assert {"1200", "300", "7", "21"} <= set(shown)
    assert "0" not in shown
    assert [shown.count(name) for name in ("cat", "dog", "$x")] == [2, 2, 2]
    cells = embedded_image(svg)
    assert cells.shape == (3, 3, 4)
    np.testing.assert_allclose(cells[..., 3].diagonal(), [0.8, 0, 0.75], atol=0.01)
    assert cells[2, 0, 3] > cells[0, 1, 3] > cells[1, 0, 3] == 0  # 25 % of its row, 20 %, none
    assert cells[0, 0, 2] > cells[0, 0, 0]  # blue is right
    assert cells[0, 1, 0] > cells[0, 1, 2]  # red is wrong


def test_a_large_confusion_matrix_stays_small() -> None:
    """With hundreds of classes it is a picture without names and counts, still of moderate size."""
    svg = draw_confusion(np.eye(300, dtype=int).tolist(), [str(i) for i in range(300)], [1] * 300)
    assert texts(svg) == ["predicted class", "true class"]
    assert len(svg) < 30_000


def test_a_cell_is_a_share_of_all_images_of_its_class() -> None:
    """Where not all classes are drawn, the depth is still the share of the whole class."""
    cells = embedded_image(draw_confusion([[4, 0], [0, 4]], ["a", "b"], [8, 4]))
    np.testing.assert_allclose(cells[..., 3].diagonal(), [0.5, 1], atol=0.01)


def test_a_perfect_confusion_matrix() -> None:
    """Without a single mistake there is nothing to divide by, and nothing red."""
    assert embedded_image(draw_confusion([[3, 0], [0, 4]], ["a", "b"], [3, 4]))[..., 3].tolist() == [[1, 0], [0, 1]]


def test_pictures_keep_their_pixels() -> None:
    """An image is embedded pixel by pixel, from black to white by value and not by contrast, under its title."""
    svg = draw_pictures([Picture(IMAGE, "cat")], 1)
    gray = embedded_image(svg)[..., 0] * 255
    np.testing.assert_allclose(gray, IMAGE, atol=0.5)
    assert texts(svg) == ["cat"]
    assert b"pixelated" in svg


def test_colours_keep_their_pixels() -> None:
    """A colour image is embedded pixel by pixel, red, green and blue as they are, whatever its own range."""
    colours = np.random.default_rng(2).integers(40, 90, (3, 4, 3), np.uint8)
    shown = embedded_image(draw_pictures([Picture(colours, "cat")], 1))
    np.testing.assert_allclose(shown[..., :3] * 255, colours, atol=0.5)


def test_the_tutorials_figure_is_two_by_five() -> None:
    """Ten pictures make two rows of five; other numbers a grid that fits."""
    columns = {n: columns_of(n) for n in (1, 2, 5, 6, 10, 26, 47, 100)}
    assert columns == {1: 1, 2: 2, 5: 5, 6: 5, 10: 5, 26: 8, 47: 10, 100: 15}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ankle boot", "Ankle boot"),
        ("a\nb\x00\u202e", "a\ufffdb\ufffd\ufffd"),
        ("x" * 15, "x" * 13 + "…"),
        ("あ い", "あ い"),
    ],
)
def test_names_are_made_to_fit(name: str, shown: str) -> None:
    """A class name loses what cannot be seen, and what is too long."""
    assert shorten(name) == shown


def embedded_image(svg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the first picture that a figure holds, (rows, columns, red green blue opacity) in [0, 1]."""
    data = re.findall(r'"data:image/png;base64,\s*([^"]+)"', svg.decode())[0]
    pixels = np.asarray(matplotlib.image.imread(BytesIO(base64.b64decode(data))), np.float64)
    flipped = re.search(r"<image[^>]*matrix\(\S+ \S+ \S+ -", svg.decode())
    return pixels[::-1] if flipped else pixels
