"""Images for a model: raw pixels are taken, and whatever else looks like images is refused with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from idxflow.comparing.images import Images
from idxflow.comparing.predicting import Classifier, raw_pixels
from schemas.errors import UsageError
from schemas.image_spec import ImageSpec
from tasks import evaluate

SPEC = ImageSpec(rows=3, columns=4)
RAW = np.arange(0, 240, 10, dtype=np.uint8).reshape(2, *SPEC.array)


@pytest.mark.parametrize(
    "images",
    [
        RAW,
        RAW.reshape(2, 12),
        RAW.astype(np.int64),
        RAW.astype(">u2").reshape(2, 12),
        RAW.tolist(),
        np.asfortranarray(RAW),
    ],
    ids=["images", "rows", "int64", "big-endian", "lists", "another layout"],
)
def test_raw_pixels_are_taken(images: npt.ArrayLike) -> None:
    """Of each layout and type that holds the same numbers come the same rows."""
    found = raw_pixels(images, SPEC)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, RAW.reshape(2, 12))


def test_one_image_is_one_row() -> None:
    """An image without the axis of images is one, also where its rows could be images."""
    np.testing.assert_array_equal(raw_pixels(RAW[1], SPEC), RAW[1].reshape(1, 12))
    assert raw_pixels(np.zeros((1, 5), np.uint8), ImageSpec(rows=1, columns=5)).shape == (1, 5)
    assert raw_pixels(np.zeros((7, 5), np.uint8), ImageSpec(rows=1, columns=5)).shape == (7, 5)


SCALED = (RAW / 255).astype(np.float32)
WRONG: dict[str, tuple[Any, str]] = {
    "scaled": (
        SCALED / SCALED.max(),
        "raw pixels, 0 to 255, uint8, found float32 from 0 to 1: these look scaled. The model scales by itself:",
    ),
    "normalized": (
        SCALED - 0.5,
        r"found float32 from -0.5 to .*: these look normalized\. The model normalises by",
    ),
    "float": (RAW.astype(float), r"found float64 from 0 to 230\. .*`images\.astype\(np\.uint8\)`"),
    "float16": (RAW.astype(np.float16), "found float16 from 0 to 230"),
    "no number": (SCALED * np.nan, "found float32 from nan to nan"),
    "bool": (RAW > 9, r"uint8, found bool\. Where True is white that is `images\.astype\(np\.uint8\) \* 255`"),
    "negative": (RAW.astype(int) - 1, "found int64 from -1 to 229. Hand over the pixels as the data set"),
    "too large": (RAW.astype(np.uint16) * 257, "found uint16 from 0 to 59110. Pixels of more than 8 bits"),
    "text": (np.full(RAW.shape, "0"), "uint8, found an array of <U1"),
    "object": (object(), r"uint8, found object\. .*run\.table"),
    "images": (
        Images(np.zeros(2, np.uint32), np.zeros(2, np.uint16), RAW, ("a",)),
        r'found Images\. Hand over numbers in an array, as `run\.table\("test"\)\.image` is one',
    ),
    "ragged": ([[1, 2], [3]], "found no array: .*Images have to be of one size"),
    "none": (RAW[:0], "at least one image, found none"),
    "nothing": ([], "at least one image, found none"),
    "lying": (RAW.transpose(0, 2, 1), r"\(n, 3, 4\), \(n, 12\) or, of one image, \(3, 4\), found \(2, 4, 3\)"),
    "a row": (RAW[0].ravel(), r"found \(12,\)\. One image in a row is `images\.reshape\(1, -1\)`"),
    "a channel": (RAW[..., None], r"found \(2, 3, 4, 1\)\. .*`images\[\.\.\., 0\]`"),
    "colours": (np.repeat(RAW[..., None], 3, 3), r"found \(2, 3, 4, 3\)\. These look like colours"),
    "a colour": (np.repeat(RAW[0, ..., None], 3, 2), r"found \(3, 4, 3\)\. These look like colours"),
    "another size": (np.zeros((2, 8, 8), np.uint8), r"found \(2, 8, 8\)\. Bring them to the size"),
    "a number": (5, r"found \(\)\. "),
}


@pytest.mark.parametrize("case", WRONG)
def test_whatever_else_is_refused_with_the_reason(case: str) -> None:
    """The message names what is expected, what was found, and what to do about it."""
    images, words = WRONG[case]
    with pytest.raises(UsageError, match=rf"^the images: expected .*{words}"):
        raw_pixels(images, SPEC)


def test_images_are_cut_as_evaluate_cuts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images go through the model in evaluate's blocks, each within a row group: other blocks give other last bits."""
    monkeypatch.setattr("schemas.image_table.ROW_GROUP", 5)
    monkeypatch.setattr(evaluate, "BLOCK", 3)
    blocks = []

    def graph(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        blocks.append(len(block))
        return np.stack([block[:, 0] / 255, 1 - block[:, 0] / 255], axis=1).astype(np.float32)

    image = np.random.default_rng(5).integers(0, 256, (11, 12), np.uint8)
    found = Classifier(evaluate.Graph(graph, (None, 2)), SPEC, ("bright", "dark")).predict(image)
    assert blocks == [3, 2, 3, 2, 1]
    assert found.label.tolist() == (image[:, 0] < 128).astype(int).tolist()
    assert found.name == tuple("bright" if value >= 128 else "dark" for value in image[:, 0])
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
