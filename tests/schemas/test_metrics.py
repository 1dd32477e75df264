"""What evaluate leaves: its confusion in both forms, and which classes are the largest."""

from __future__ import annotations

from schemas.metrics import ClassMetrics, SplitMetrics, largest


def split(confusion: tuple[tuple[int, ...], ...], classes: int) -> SplitMetrics:
    """Return the metrics of a split with this confusion; class `i` has `i % 7` images."""
    one = ClassMetrics(name="one", support=0, precision=0, recall=0, f1=0)
    return SplitMetrics(
        samples=9, accuracy=0, loss=0, confusion=confusion, halves=(0, 0), first_labels=(0,), first_predictions=(0,),
        classes=tuple(one.model_copy(update={"support": label % 7}) for label in range(classes)),
    )  # fmt: skip


def test_both_forms_have_the_same_pairs() -> None:
    """A whole matrix, also one of many classes that older code left, and a row a pair tell the same; zeros are none."""
    assert [*split(((5, 0, 1), (0, 0, 0), (0, 2, 3)), 3).pairs] == [(0, 0, 5), (0, 2, 1), (2, 1, 2), (2, 2, 3)]
    rows = ((0, 0, 5), (0, 299, 1), (299, 0, 2))
    whole = [[0] * 300 for _ in range(300)]
    for true, predicted, count in rows:
        whole[true][predicted] = count
    assert [*split(rows, 300).pairs] == [*split(tuple(map(tuple, whole)), 300).pairs] == [*rows]


def test_the_matrix_of_some_classes() -> None:
    """Cells of classes that are not asked about are left out, and rows come in the order in which classes are named."""
    assert split(((0, 0, 5), (0, 299, 1), (299, 0, 2), (7, 0, 3)), 300).matrix([299, 0]) == [[0, 2], [1, 5]]


def test_the_largest_classes() -> None:
    """Of equal ones the first are taken, and all come in class order; there may be fewer than are asked for."""
    assert largest([3, 9, 3, 9, 3], 3) == (0, 1, 3)
    assert largest([1, 2], 256) == (0, 1)
    assert split((), 300).largest(2) == (6, 13)
