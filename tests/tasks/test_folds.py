"""Folds: every image in one, each class evenly, equal images together, whatever the order of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.errors import StageError
from schemas.image_table import Batch, ImageTable, TableMetadata, write_table
from tasks.fitting.dealing import Deal
from tasks.fitting.folds import Fold, deal, deal_table, rows_of_fold
from tasks.quality.profile import digest_images


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=80), st.integers(2, 7))
def test_equal_images_are_in_one_fold_whatever_the_order(rows: list[tuple[int, int]], folds: int) -> None:
    """Images of one digest share a fold, and another order of the rows deals them out in the same way."""
    labels, digests = np.array([row[0] for row in rows], np.uint16), np.array([row[1] for row in rows], np.uint64)
    dealt = deal(labels, digests, folds)
    assert dealt.dtype == np.uint8
    assert all(len(set(dealt[digests == value].tolist())) == 1 for value in digests)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    assert deal(labels[order], digests[order], folds).tolist() == dealt[order].tolist()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(2, 7))
def test_each_class_is_dealt_out_evenly(sizes: list[int], folds: int) -> None:
    """Of different images a class has as many in each fold as in any other, or one more; and so have all together."""
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.uint16)
    dealt = deal(labels, np.arange(len(labels), dtype=np.uint64) * np.uint64(977), folds)
    for chosen in [labels == label for label in range(len(sizes))] + [np.ones(len(labels), bool)]:
        counts = np.bincount(dealt[chosen], minlength=folds)
        assert counts.max() - counts.min() <= 1


def table_of(path: Path, images: int) -> ImageTable:
    """Write a table of so many different images."""
    pixels = np.arange(images * 4, dtype=np.uint8).reshape(images, 4)
    batch = Batch(np.arange(images, dtype=np.uint32), (np.arange(images) % 2).astype(np.uint16), pixels)
    write_table(path, TableMetadata(split="train", shape=(2, 2), classes=("a", "b")), [batch])
    return ImageTable(path)


def test_the_folds_of_a_table_are_all_of_it(tmp_path: Path) -> None:
    """Each row is in one of the folds."""
    table = table_of(tmp_path / "table.parquet", 11)
    masks = [rows_of_fold(table, Fold(number=number, of=3)) for number in (1, 2, 3)]
    assert np.sum(masks, axis=0).tolist() == [1] * 11
    assert sorted(int(mask.sum()) for mask in masks) == [3, 4, 4]


def test_a_fold_needs_an_image(tmp_path: Path) -> None:
    """More folds than different images are refused."""
    with pytest.raises(StageError, match=r"--folds: expected at least 4 different train images, .* found 3 images"):
        deal_table(table_of(tmp_path / "table.parquet", 3), 4)


def test_copies_are_in_one_fold(tmp_path: Path) -> None:
    """Groups of copies, near ones too, are dealt out as one image each."""
    table = table_of(tmp_path / "table.parquet", 12)
    digests = digest_images(table.read().image)
    groups = digests[[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]]
    dealt = deal_table(table, 3, Deal.of(digests, groups, np.zeros(12, np.uint8)))
    assert dealt[:6].tolist() == dealt[6:].tolist()
    assert np.bincount(dealt).tolist() == [4, 4, 4]
    with pytest.raises(StageError, match="found 6 images"):
        deal_table(table, 7, Deal.of(digests, groups, np.zeros(12, np.uint8)))


@pytest.mark.parametrize(("number", "of"), [(0, 5), (6, 5), (1, 1), (1, 101)])
def test_what_is_no_fold(number: int, of: int) -> None:
    """A fold is one of 2 to 100."""
    with pytest.raises(ValidationError):
        Fold(number=number, of=of)
    assert str(Fold(number=5, of=5)) == "5 of 5"
