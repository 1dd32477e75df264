"""A test split that is cut off the train files: which rows it takes, and what is said where they are too few."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from schemas import image_table
from schemas.datasets import Checks, TableSpec
from schemas.errors import BadTable
from schemas.image_table import Batch, ImageTable
from tasks.parse import TableSummary, build_table
from tasks.validate import validate_table
from tests.tasks.idx_bytes import write_shards

CLASSES = ("a", "b", "c")
ROWS = 60
IMAGES = np.random.default_rng(3).integers(0, 256, (ROWS, 3, 2), np.uint8)
IMAGES[40:44] = IMAGES[0]  # five equal images, of two classes
LABELS = np.repeat(np.arange(3, dtype=np.uint8), [30, 20, 10])


def spec_of(split: Literal["train", "test"], **fields: Any) -> TableSpec:
    """What a split of the small set, of which a fifth is cut off, has to look like."""
    values = {"dataset": "small", "split": split, "shape": (3, 2), "classes": CLASSES, "test_fraction": 0.2}
    return TableSpec.model_validate({**values, **fields})


def parsed(
    folder: Path,
    spec: TableSpec,
    images: npt.NDArray[np.uint8] = IMAGES,
    labels: npt.NDArray[np.uint8] = LABELS,
    cuts: tuple[int, ...] = (),
) -> tuple[Batch, TableSummary]:
    """Write arrays as shards, cut at rows `cuts`, and parse one split of them."""
    target = folder / f"{spec.split}.parquet"
    summary = build_table(*write_shards(folder, images, labels, cuts), spec, target)
    return ImageTable(target).read(), summary


def rows_of(batch: Batch) -> list[tuple[int, bytes]]:
    """Return label and pixels of each row, in their order."""
    return [(int(label), image.tobytes()) for label, image in zip(batch.label, batch.image, strict=True)]


def test_both_splits_together_are_the_files(tmp_path: Path) -> None:
    """Each row is in one split, in the files' order; ids count within each; summaries count what each took."""
    (train, of_train), (test, of_test) = (parsed(tmp_path, spec_of(split)) for split in ("train", "test"))
    whole = [(int(label), image.tobytes()) for label, image in zip(LABELS, IMAGES, strict=True)]
    places = {row: place for place, row in reversed(list(enumerate(whole)))}
    for batch in (train, test):
        assert batch.sample_id.tolist() == list(range(len(batch.label)))
        order = [places[row] for row in rows_of(batch)]
        assert [place for place in order if place != 0] == sorted(place for place in order if place != 0)
    assert sorted(rows_of(train) + rows_of(test)) == sorted(whole)
    assert of_test.per_class == {"a": 6, "b": 4, "c": 2}
    assert of_train.per_class == {"a": 24, "b": 16, "c": 8}
    assert (of_train.rows, of_test.rows) == (48, 12)


def test_equal_images_are_in_one_split(tmp_path: Path) -> None:
    """Whatever their labels, the same pixels are never in both."""
    train, test = (parsed(tmp_path, spec_of(split))[0] for split in ("train", "test"))
    assert not {image for _, image in rows_of(train)} & {image for _, image in rows_of(test)}


@pytest.mark.parametrize("cuts", [(), (7, 20, 59)])
def test_another_order_and_other_files_are_cut_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: tuple[int, ...]
) -> None:
    """The same images in another order, in other shards and row groups, are in the same split."""
    expected = sorted(rows_of(parsed(tmp_path, spec_of("test"))[0]))
    monkeypatch.setattr(image_table, "ROW_GROUP", 7)
    order = np.random.default_rng(5).permutation(ROWS)
    (tmp_path / "other").mkdir()
    again, _ = parsed(tmp_path / "other", spec_of("test"), IMAGES[order], LABELS[order], cuts)
    assert sorted(rows_of(again)) == expected


def test_samples_are_those_of_the_files(tmp_path: Path) -> None:
    """What is published about the files holds for them, not for what each split takes."""
    spec = spec_of("test", samples=ROWS)
    parsed(tmp_path, spec)
    table = ImageTable(tmp_path / "test.parquet")
    assert validate_table(table, spec, Checks(), None, tmp_path / "profile.parquet").statistics.samples == 12
    with pytest.raises(BadTable, match="expected 61 images, as published, found 60"):
        parsed(tmp_path, spec_of("train", samples=61))


def test_a_set_that_is_too_small_is_refused(tmp_path: Path) -> None:
    """Where each class has one image all of them are trained on; the error says why, and what helps."""
    one = slice(0, 3)
    with pytest.raises(BadTable, match=r"^small test split: expected an image at least.*found none of 3\. Bring more"):
        parsed(tmp_path, spec_of("test"), IMAGES[one], np.arange(3, dtype=np.uint8))
    train, _ = parsed(tmp_path, spec_of("train"), IMAGES[one], np.arange(3, dtype=np.uint8))
    assert len(train.label) == 3


@pytest.mark.parametrize(("severity", "findings"), [("error", 1), ("warn", 1), ("ignore", 0)])
def test_a_class_without_a_test_image_is_told(tmp_path: Path, severity: str, findings: int) -> None:
    """Of a class of two images a fifth may be none: that is a finding of the test split, and no error."""
    labels = np.repeat(np.arange(3, dtype=np.uint8), [30, 28, 2])
    images = np.random.default_rng(4).integers(0, 256, (ROWS, 3, 2), np.uint8)
    parsed(tmp_path, spec_of("test"), images, labels)
    checks = Checks.model_validate({"missing_class": severity, "imbalance": "ignore", "blank": "ignore"})
    table = ImageTable(tmp_path / "test.parquet")
    found = validate_table(table, spec_of("test"), checks, None, tmp_path / "profile.parquet").statistics.findings
    assert [finding.check for finding in found] == ["missing_class"] * findings
    assert all(finding.message.endswith("for test.fraction = 0.2: 1 (c)") for finding in found)
