"""Parting a set: every class on both sides in its share, equal images on one, and the same parts for any order."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.fitting.stratify import apportion, choose, mix, share_of

ORDERS = ("sorted", "blocks", "by writer", "shuffled")


class Split(NamedTuple):
    """Labels, uint16 (n,), and what tells the images apart, uint64 (n,), in one of many orders; and how to part it."""

    labels: npt.NDArray[np.uint16]
    digests: npt.NDArray[np.uint64]
    fraction: float
    seed: int

    def choose(self) -> npt.NDArray[np.bool_]:
        """Choose the rows to hold out."""
        return choose(*self)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Rows of each class."""
        return np.bincount(self.labels)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """What of each class would be held out exactly in proportion."""
        rows = len(self.labels)
        return share_of(self.counts, rows - math.floor(rows * (1 - self.fraction)))


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Draw 2 to 100 classes of 2 to 1,000 images each, some of which are equal, also with different labels."""
    sizes = draw(st.lists(st.integers(2, 1000) | st.integers(2, 12), min_size=2, max_size=100))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = np.repeat(np.arange(len(sizes), dtype=np.uint16), sizes)
    rows = len(labels)
    image = np.arange(rows)
    copies = random.random(rows) < draw(st.sampled_from([0, 0, 0.05, 0.3, 1]))
    near = draw(st.sampled_from([1, 3, 50, rows]))  # how far away what it is a copy of lies: across classes, or not
    image[copies] = np.maximum(0, image[copies] - random.integers(0, near + 1, copies.sum()))
    match draw(st.sampled_from(ORDERS)):
        case "sorted":
            order = np.arange(rows)
        case "blocks":
            pieces = np.array_split(np.arange(rows), 30)
            order = np.concatenate([pieces[block] for block in random.permutation(30)])
        case "by writer":
            order = np.argsort(random.integers(0, 40, rows), kind="stable")
        case _:
            order = random.permutation(rows)
    fraction = draw(st.sampled_from([0.1, 0.2]) | st.floats(0.01, 0.7))
    return Split(labels[order], mix(image[order].astype(np.uint64), 7), fraction, draw(st.integers(0, 2**31 - 1)))


def check(split: Split, data: st.DataObject) -> None:
    """See that a split is parted as promised."""
    held, counts, shares = split.choose(), split.counts, split.shares
    of_held = np.bincount(split.labels[held], minlength=len(counts))
    assert (of_held < counts).all(), "a class is not trained on"
    assert not np.intersect1d(split.digests[held], split.digests[~held]).size, "equal images are on both sides"
    _, group, size = np.unique(split.digests, return_inverse=True, return_counts=True)
    single = size[group] == 1
    singles = np.bincount(split.labels[single], minlength=len(counts))
    away = abs(of_held - shares)
    assert (away <= 1 + 1e-9)[singles >= np.ceil(shares)].all(), "a class is not within one row of its share"
    # Of a class all of whose equal images have its label, groups as wholes are the only limit.
    label_of = np.full(len(size), -1)
    label_of[group] = split.labels
    torn = np.zeros(len(counts), bool)
    torn[split.labels[np.isin(group, group[label_of[group] != split.labels])]] = True
    largest = np.zeros(len(counts), np.int64)
    np.maximum.at(largest, split.labels, size[group])
    assert (away <= np.maximum(1, largest) + 1e-9)[~torn].all(), "a class is further from its share than a group"
    if single.all() and (shares <= counts - 1).all():
        assert held.sum() == len(held) - math.floor(len(held) * (1 - split.fraction))
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(held))
    again = split._replace(labels=split.labels[order], digests=split.digests[order]).choose()
    np.testing.assert_array_equal(again, held[order], "another order of the rows is parted otherwise")


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(splits(), st.data())
def test_any_set_is_parted_as_promised(split: Split, data: st.DataObject) -> None:
    """No class is untrained, each is within one row of its share, and equal images are on one side, for any order."""
    check(split, data)


def test_another_seed_chooses_other_rows() -> None:
    """The choice is drawn: with another seed other rows are held out, as many of each class."""
    labels, digests = np.arange(1000, dtype=np.uint16) % 10, mix(np.arange(1000, dtype=np.uint64), 7)
    one, other = choose(labels, digests, 0.2, 1), choose(labels, digests, 0.2, 2)
    assert 10 < (one & other).sum() < 80
    assert np.bincount(labels[one]).tolist() == np.bincount(labels[other]).tolist() == [20] * 10


def test_what_is_left_over_goes_to_the_largest_remainders() -> None:
    """Shares of 2.5, 1.75 and 0.75 of five rows become 2, 2 and 1; a class of one row keeps it."""
    assert apportion(np.array([10, 7, 3]), np.array([2.5, 1.75, 0.75]), 0).tolist() == [2, 2, 1]
    assert apportion(np.array([1, 9]), np.array([0.9, 8.1]), 0).tolist() == [0, 8]


def test_equal_remainders_are_drawn() -> None:
    """Which of many classes with equal shares gets the row that is left over depends on the seed."""
    winners = {int(apportion(np.full(10, 5), np.full(10, 0.1), seed).argmax()) for seed in range(30)}
    assert len(winners) > 5


def test_a_class_of_nothing_but_equal_images_is_trained_on() -> None:
    """It cannot be on both sides, and training needs it; the others are held out in their shares."""
    labels = np.repeat(np.array([0, 1, 2], np.uint16), [10, 100, 100])
    digests = np.concatenate([np.zeros(10, np.uint64), mix(np.arange(200, dtype=np.uint64), 7)])
    held = choose(labels, digests, 0.1, 0)
    assert np.bincount(labels[held]).tolist() == [0, 10, 10]


def test_pairs_of_equal_images_are_within_one_row_too() -> None:
    """Where every image occurs twice a class is held out in pairs, to the pair that is nearest to its share."""
    labels = np.repeat(np.arange(4, dtype=np.uint16), [20, 30, 42, 50])
    digests = mix(np.arange(len(labels), dtype=np.uint64) // 2, 7)
    split = Split(labels, digests, 0.1, 5)
    held = np.bincount(labels[split.choose()], minlength=4)
    assert (held % 2 == 0).all()
    assert (abs(held - split.shares) <= 1).all()


def test_nothing_is_chosen_of_nothing() -> None:
    """A fraction of 0, and a set without rows, are parted too."""
    assert not choose(np.zeros(5, np.uint16), np.arange(5, dtype=np.uint64), 0, 1).any()
    assert choose(np.zeros(0, np.uint16), np.zeros(0, np.uint64), 0.1, 1).shape == (0,)


@pytest.mark.slow
@settings(deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(splits(), st.data())
def test_a_thousand_sets_are_parted_as_promised(split: Split, data: st.DataObject) -> None:
    """The same for a thousand sets."""
    check(split, data)
