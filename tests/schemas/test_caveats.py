"""Caveats: what voids or weakens a test accuracy is said, and nothing else is."""

from __future__ import annotations

import json

import pytest

from schemas.caveats import LEAKED, Caveat, find_caveats, unsaid
from schemas.metrics import ClassMetrics, Metrics, SplitMetrics


def split(samples: int = 1000, right: int = 950, supports: tuple[int, ...] = (500, 500)) -> SplitMetrics:
    """Metrics of a split with so many right predictions."""
    names = ("cat", "dog", "owl")
    return SplitMetrics(
        samples=samples,
        accuracy=right / samples,
        loss=0.1,
        classes=tuple(
            ClassMetrics(name=name, support=support, precision=1, recall=1, f1=1)
            for name, support in zip(names, supports, strict=False)
        ),
        confusion=(),
        halves=(1, 1),
        first_labels=(),
        first_predictions=(),
    )


def said(metrics: Metrics) -> dict[str, str]:
    """The caveats, by kind."""
    return {caveat.kind: caveat.message for caveat in find_caveats(metrics)}


def test_a_sound_result_has_no_caveat() -> None:
    """Without a leak, with even classes and a small gap there is nothing to say."""
    assert find_caveats(Metrics(train=split(), test=split(), leaked=0, unseen_accuracy=0.95)) == ()


@pytest.mark.parametrize(
    ("leaked", "unseen", "words"),
    [
        (
            600,
            0.4125,
            "600 of 1,000 test images (60.00 %) occur in the train split; accuracy on the unseen ones: 41.25 % of 400.",
        ),
        (
            1,
            0.95,
            "1 of 1,000 test images (0.10 %) occurs in the train split; accuracy on the unseen ones: 95.00 % of 999.",
        ),
        (1000, None, "All 1,000 test images occur in the train split: none of them was unseen."),
    ],
)
def test_a_leak_is_said_with_what_is_left(leaked: int, unseen: float | None, words: str) -> None:
    """The share of test images that occur in the train split stands beside the accuracy on the others."""
    assert said(Metrics(train=split(), test=split(), leaked=leaked, unseen_accuracy=unseen)) == {"leak": words}


@pytest.mark.parametrize(("supports", "told"), [((500, 500), False), ((501, 499), True), ((100, 740, 160), True)])
def test_a_majority_is_said(supports: tuple[int, ...], told: bool) -> None:
    """More than half of the test images in one class are said, with its name; half of them are not."""
    found = said(Metrics(train=split(), test=split(supports=supports)))
    assert ("majority" in found) is told
    if supports[1] == 740:
        assert found == {
            "majority": "74.00 % of the test images are of one class, dog: always naming it would be right as often."
        }


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        ((60_000, 59_400), (10_000, 9_410), False),  # 4.9 points
        ((60_000, 59_400), (10_000, 9_390), True),  # 5.1 points
        ((60_000, 58_200), (20, 18), False),  # 7 points, of 20 images
        ((60_000, 60_000), (200, 180), True),  # 10 points, of 200 images
        ((1_000, 500), (1_000, 900), False),  # the other way round
    ],
)
def test_a_gap_is_said_where_chance_does_not_explain_it(
    train: tuple[int, int], test: tuple[int, int], *, told: bool
) -> None:
    """A train accuracy that is more than 5 points above is said, unless so few images may differ by as much."""
    found = said(Metrics(train=split(*train), test=split(*test, supports=(1, 1))))
    assert ("gap" in found) is told
    if told and test[0] == 200:
        assert found["gap"] == (
            "Test accuracy is 10.00 points below train accuracy, more than chance explains: "
            "the model overfits, or the splits differ."
        )


def test_older_metrics_are_read() -> None:
    """A file of before the leak was measured is read, and says nothing of one."""
    older = json.loads(Metrics(train=split(), test=split()).model_dump_json(exclude={"leaked", "unseen_accuracy"}))
    metrics = Metrics.model_validate(older)
    assert (metrics.leaked, metrics.unseen_accuracy, find_caveats(metrics)) == (None, None, ())


def test_a_thing_is_said_once() -> None:
    """Validate's warning of a leak is not repeated beside the caveat that says it; every other warning is."""
    warnings = ("x.gz: it is odd", f"own test: {LEAKED}: 600 (sample_id 0, 1)")
    assert tuple(unsaid(warnings, ())) == warnings
    assert tuple(unsaid(warnings, (Caveat(kind="gap", message=""),))) == warnings
    assert tuple(unsaid(warnings, (Caveat(kind="leak", message=""),))) == warnings[:1]
