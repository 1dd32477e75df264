"""The arrays of a split."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from idxflow.archive import ArchivedRun
from idxflow.comparing import images
from idxflow.comparing.images import Images, load_images
from schemas.training import NormalizerFacts
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
