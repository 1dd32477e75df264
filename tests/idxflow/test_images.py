"""The arrays of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from idxflow import images
from idxflow.images import Images, load_images
from tasks.normalize import normalize_pixels
from tests.tasks.small_split import CLASSES, MEAN, SHAPE, STD, normalizer_artifact, small_split, table_artifact

SPLIT = small_split(150)


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
