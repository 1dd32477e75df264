"""The arrays of a split, and images for a model: raw pixels are taken, anything else is refused with the reason."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from idxflow.api import ArchivedRun
from idxflow.comparing import images
from idxflow.comparing.images import Classifier, Images, load_images, raw_pixels
from schemas.errors import UsageError
from schemas.image_spec import ImageSpec
from schemas.model import NormalizerFacts
from tasks.inference import perceptron
from tasks.inference.perceptron import Layer, Perceptron
from tasks.normalize import normalize_pixels
from tests.flows.walking import ROWS
from tests.processes import PROJECT
from tests.tasks.small_split import CLASSES, MEAN, SHAPE, STD, normalizer_artifact, small_split, table_artifact

SPLIT = small_split(150)


def bundled(split: str, what: Literal["images", "labels"]) -> npt.NDArray[np.uint8]:
    """Return pixels, (n, 64), or labels, (n,), of the digits' files, read without any code of idxflow's."""
    prefix, kind = {"train": "train", "test": "t10k"}[split], {"images": "idx3", "labels": "idx1"}[what]
    with gzip.open(PROJECT / "schemas/catalog/digits" / f"{prefix}-{what}-{kind}-ubyte.gz") as file:
        content = np.frombuffer(file.read(), np.uint8)
    return content[16:].reshape(-1, 64) if what == "images" else content[8:]


def test_raw_images_are_those_of_the_table(tmp_path: Path) -> None:
    """Without a normaliser the pixels come back as they were parsed, in their shape and in the order of the table."""
    found = load_images(table_artifact(tmp_path / "table", "train", SPLIT))
    assert (found.image.dtype.name, found.image.shape) == ("uint8", (150, *SHAPE))
    assert (found.sample_id.dtype.name, found.label.dtype.name) == ("uint32", "uint16")
    assert found.classes == CLASSES
    np.testing.assert_array_equal(found.image[7], SPLIT.image[7].reshape(SHAPE))
    np.testing.assert_array_equal(found.flat, SPLIT.image)
    np.testing.assert_array_equal(found.label, SPLIT.label)
    np.testing.assert_array_equal(found.sample_id, np.arange(150))
    assert repr(found) == f"<150 images of {SHAPE[0]} x {SHAPE[1]}, uint8, {len(CLASSES)} classes>"


@pytest.mark.parametrize("rows", [1, 64, 150, 1000])
def test_normalized_images_are_what_the_formula_says(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many images are normalised at once, each is bit for bit what the formula makes of it."""
    monkeypatch.setattr(images, "ROWS", rows)
    table = table_artifact(tmp_path / "table", "train", SPLIT)
    found = load_images(table, normalizer_artifact(tmp_path / "normalizer"))
    assert (found.image.dtype.name, found.image.shape) == ("float32", (150, *SHAPE))
    np.testing.assert_array_equal(found.flat, normalize_pixels(SPLIT.image, MEAN, STD))


def test_flat_is_the_same_memory() -> None:
    """To lay the images flat copies no pixel."""
    whole = Images(SPLIT.sample_id, SPLIT.label, SPLIT.image.reshape(-1, *SHAPE), CLASSES)
    assert whole.flat.shape == (150, 6)
    assert np.shares_memory(whole.flat, whole.image)


def test_two_splits_can_be_held_against_each_other() -> None:
    """A comparison of arrays has no one truth value: two splits are the same only if they are one."""
    one, other = (Images(SPLIT.sample_id, SPLIT.label, SPLIT.image, CLASSES) for _ in range(2))
    assert one == one  # noqa: PLR0124 - that it is an answer and no error
    assert one != other
    assert len({one, other}) == 2


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_raw_table_is_what_was_downloaded(split: Any, run: ArchivedRun) -> None:
    """Every pixel and label is that of the files, in their order, under the class names of the data set."""
    found, rows = run.table(split), ROWS[split]
    assert (found.image.dtype.name, found.image.shape) == ("uint8", (rows, 8, 8))
    assert (found.label.dtype.name, found.sample_id.dtype.name) == ("uint16", "uint32")
    assert found.classes == tuple("0123456789")
    np.testing.assert_array_equal(found.flat, bundled(split, "images"))
    np.testing.assert_array_equal(found.label, bundled(split, "labels"))
    np.testing.assert_array_equal(found.sample_id, np.arange(rows))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_normalized_table_is_what_the_network_saw(split: Any, run: ArchivedRun) -> None:
    """Both splits are normalised with the train split's figures, bit for bit as the tutorial's formula says."""
    raw, found, stored = run.table(split), run.table(split, "normalized"), run.artifact("normalize").ref
    facts = NormalizerFacts.model_validate_json(stored.file("normalizer.json").read_bytes())
    mean = np.load(stored.file("mean.npy"))
    assert (found.image.dtype.name, found.image.shape) == ("float32", raw.image.shape)
    np.testing.assert_array_equal(found.flat, normalize_pixels(bundled(split, "images"), mean, facts.std))
    np.testing.assert_array_equal(found.label, raw.label)
    if split == "train":
        np.testing.assert_allclose(found.flat.mean(axis=0), 0, atol=1e-6)


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


COLOUR = ImageSpec(rows=3, columns=4, channels=3)
COLOURS = np.arange(72, dtype=np.uint8).reshape(2, *COLOUR.array)


@pytest.mark.parametrize("images", [COLOURS, COLOURS.reshape(2, 36), COLOURS.astype(np.int32), COLOURS.tolist()])
def test_colours_are_taken(images: npt.ArrayLike) -> None:
    """Of a model of colours, images with the channels last come as rows, and one image is one row."""
    np.testing.assert_array_equal(raw_pixels(images, COLOUR), COLOURS.reshape(2, 36))
    np.testing.assert_array_equal(raw_pixels(COLOURS[1], COLOUR), COLOURS[1].reshape(1, 36))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (RAW, r"\(n, 3, 4, 3\), \(n, 36\) or, of one image, \(3, 4, 3\), found \(2, 3, 4\)\. These look grey, and the"),
        (RAW[0], r"found \(3, 4\)\. These look grey"),
        (RAW[..., None], r"found \(2, 3, 4, 1\)\. These look grey"),
        (RAW.reshape(2, 12), r"found \(2, 12\)\. Bring them to the size"),
        (COLOURS.transpose(0, 3, 1, 2), r"found \(2, 3, 3, 4\)\. .*`np\.moveaxis\(images, -3, -1\)`"),
        (COLOURS[0].transpose(2, 0, 1), r"found \(3, 3, 4\)\. .*`np\.moveaxis\(images, -3, -1\)`"),
        (np.zeros((2, 3, 4, 4), np.uint8), r"found \(2, 3, 4, 4\)\. Leave out the opacity, .*`images\[\.\.\., :3\]`"),
        (COLOURS[0].ravel(), r"found \(36,\)\. One image in a row is"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"found \(2, 8, 8, 3\)\. Bring them to the size"),
        (COLOURS / 255, "these look scaled"),
    ],
)
def test_whatever_else_a_model_of_colours_refuses(images: Any, words: str) -> None:
    """The wrong number of channels, or channels in another place, is refused with what to do about it."""
    with pytest.raises(UsageError, match=rf"^the images: expected .*{words}"):
        raw_pixels(images, COLOUR)


def test_images_in_colour_tell_their_shape() -> None:
    """In a notebook they are named with all that their shape has, and lie flat as a model takes them."""
    found = Images(np.arange(2, dtype=np.uint32), np.zeros(2, np.uint16), COLOURS, ("a", "b"))
    assert repr(found) == "<2 images of 3 x 4 x 3, uint8, 2 classes>"
    assert found.flat.shape == (2, 36)


def test_images_are_cut_as_evaluate_cuts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images go through the model in evaluate's blocks, each within a row group: other blocks give other last bits."""
    monkeypatch.setattr("schemas.image_table.ROW_GROUP", 5)
    monkeypatch.setattr(perceptron, "BLOCK", 3)
    kernel = np.zeros((12, 2), np.float32)
    kernel[0] = 1, -1
    layer = Layer(kernel, np.array([-127.5, 127.5], np.float32), "linear")
    network, blocks = Perceptron(np.zeros(12, np.float32), np.ones(12, np.float32), (layer,)), list[int]()

    def probabilities(self: Perceptron, block: npt.NDArray[np.uint8]) -> Any:
        blocks.append(len(block))
        return original(self, block)

    original = Perceptron._probabilities
    monkeypatch.setattr(Perceptron, "_probabilities", probabilities)
    monkeypatch.setattr(perceptron, "WORKERS", 1)
    image = np.random.default_rng(5).integers(0, 256, (11, 12), np.uint8)
    found = Classifier(network, SPEC, ("bright", "dark")).predict(image)
    assert blocks == [3, 2, 3, 2, 1]
    assert found.label.tolist() == (image[:, 0] < 128).astype(int).tolist()
    assert found.name == tuple("bright" if value >= 128 else "dark" for value in image[:, 0])
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
