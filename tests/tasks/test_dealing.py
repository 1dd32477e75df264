"""Dealing groups out: whole groups, every class on both sides, and an added image moves at most one other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import BadTable
from tasks.fitting.dealing import Deal, mark_groups
from tasks.fitting.stratify import mix


class Rows(NamedTuple):
    """Labels, uint16 (n,), and the group of each row, uint64 (n,)."""

    labels: npt.NDArray[np.uint16]
    groups: npt.NDArray[np.uint64]

    def sides(self, test: float, held: float, seed: int = 3) -> npt.NDArray[np.int64]:
        """Return 0 for a row that is trained on, 1 for one that is held out, 2 for one that is tested."""
        deal = Deal.of(self.groups, self.groups, mark_groups(self.labels, self.groups))
        tested = deal.tested(self.groups, test)
        sides = np.where(tested, 2, 0)
        sides[~tested] = deal.held(self.groups[~tested], held, seed)
        return sides

    def and_one(self, label: int, group: int) -> Rows:
        """Return the rows with one more at the end."""
        return Rows(np.append(self.labels, np.uint16(label)), np.append(self.groups, np.uint64(group)))


@st.composite
def sets(draw: st.DrawFn, *, torn: bool = True) -> Rows:
    """Draw up to 40 rows of up to 4 classes; some in groups, of one class or, `torn`, of several."""
    rows = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = random.integers(0, draw(st.integers(1, 4)), rows).astype(np.uint16)
    groups = random.integers(0, 2**64, rows, np.uint64)
    if draw(st.booleans()):
        groups = groups[random.integers(0, max(1, rows), rows)]
    if not torn:
        groups = mix(groups, 1) ^ labels.astype(np.uint64)
    return Rows(labels, groups)


FRACTIONS = st.sampled_from([0.1, 0.2, 0.5, 0.9])


@settings(max_examples=300)
@given(sets(), st.integers(0, 4), st.integers(0, 2**64 - 1), FRACTIONS, FRACTIONS)
def test_an_added_image_moves_one_other_group_at_most(
    rows: Rows, label: int, group: int, test: float, held: float
) -> None:
    """Of any set, with groups, one group of its class at most moves between train, held-out and test, or none."""
    if group in rows.groups.tolist():
        return
    before, after = rows.sides(test, held), rows.and_one(label, group).sides(test, held)[:-1]
    moved = before != after
    assert len(set(rows.groups[moved].tolist())) <= 1
    assert all(label in rows.labels[rows.groups == one] for one in rows.groups[moved])


@settings(max_examples=300)
@given(sets(torn=False), st.data(), FRACTIONS, FRACTIONS)
def test_an_added_copy_moves_what_it_joins_and_few_others(
    rows: Rows, data: st.DataObject, test: float, held: float
) -> None:
    """A copy that joins k groups of its class, under any digest, moves these and at most k + 1 other groups of it."""
    if not len(rows.labels):
        return
    label = data.draw(st.sampled_from(sorted(set(rows.labels.tolist()))))
    of_class = sorted(set(rows.groups[rows.labels == label].tolist()))
    joined = data.draw(st.lists(st.sampled_from(of_class), min_size=1, max_size=3, unique=True))
    name = min([*joined, data.draw(st.integers(0, 2**64 - 1))])
    inside = np.isin(rows.groups, np.array(joined, np.uint64))
    after = Rows(rows.labels, np.where(inside, np.uint64(name), rows.groups)).and_one(label, name)
    moved = (rows.sides(test, held) != after.sides(test, held)[:-1]) & ~inside
    assert len(set(rows.groups[moved].tolist())) <= len(joined) + 1
    assert set(rows.labels[moved].tolist()) <= {label}


@given(sets(), FRACTIONS, FRACTIONS, st.integers(0, 9))
def test_groups_are_whole_and_the_order_decides_nothing(rows: Rows, test: float, held: float, seed: int) -> None:
    """All rows of a group are on one side; the same rows in another order are dealt out alike."""
    sides = rows.sides(test, held)
    for group in set(rows.groups.tolist()):
        assert len(set(sides[rows.groups == group].tolist())) == 1
    order = np.random.default_rng(seed).permutation(len(sides))
    np.testing.assert_array_equal(Rows(rows.labels[order], rows.groups[order]).sides(test, held), sides[order])


@given(sets(), FRACTIONS, FRACTIONS)
def test_every_class_is_trained_on(rows: Rows, test: float, held: float) -> None:
    """Each class that has a row keeps one to train on, whatever the fractions and however torn its groups."""
    sides = rows.sides(test, held)
    assert set(rows.labels[sides == 0].tolist()) == set(rows.labels.tolist())


@given(sets(torn=False), FRACTIONS, FRACTIONS)
def test_every_class_of_two_groups_is_tested(rows: Rows, test: float, held: float) -> None:
    """Each class that has two groups or more, none of several classes, has a test image."""
    sides = rows.sides(test, held)
    several = {label for label in rows.labels.tolist() if len(set(rows.groups[rows.labels == label].tolist())) > 1}
    assert several <= set(rows.labels[sides == 2].tolist())


def test_shares_are_met_on_average() -> None:
    """Of ten classes of 1,000 images each about a fifth is tested, and a tenth of the others held out."""
    labels = np.arange(10_000, dtype=np.uint16) % 10
    sides = Rows(labels, mix(np.arange(10_000, dtype=np.uint64), 7)).sides(0.2, 0.1)
    tested, held = (np.bincount(labels[sides == side]) for side in (2, 1))
    assert (abs(tested - 200) < 4 * np.sqrt(160)).all()
    assert (abs(held - 80) < 4 * np.sqrt(80)).all()


def test_the_seed_holds_others_out_and_tests_the_same() -> None:
    """Another seed of training changes what is held out; the test split does not know it."""
    rows = Rows(np.arange(1000, dtype=np.uint16) % 10, mix(np.arange(1000, dtype=np.uint64), 7))
    one, other = rows.sides(0.2, 0.2, 1), rows.sides(0.2, 0.2, 2)
    np.testing.assert_array_equal(one == 2, other == 2)
    assert 40 < ((one == 1) & (other != 1)).sum() < 250


def test_nothing_is_held_out_of_nothing() -> None:
    """With a fraction of 0 no row is held out, and a set without rows is dealt out too."""
    rows = Rows(np.zeros(9, np.uint16), mix(np.arange(9, dtype=np.uint64), 7))
    assert not (rows.sides(0.2, 0) == 1).any()
    assert not len(Rows(np.zeros(0, np.uint16), np.zeros(0, np.uint64)).sides(0.2, 0.1))


def test_an_image_without_a_group_is_refused() -> None:
    """What the groups were not made of cannot be dealt out: that is said, with the way out."""
    deal = Deal.of(*(np.arange(3, dtype=np.uint64),) * 2, np.zeros(3, np.uint8))
    with pytest.raises(BadTable, match=r"expected a group for every image, found images without one.*--refresh group"):
        deal.tested(np.array([5], np.uint64), 0.2)
