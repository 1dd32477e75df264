"""What the stages find: statistics and failures, confusion and intervals, and the caveats that follow from them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from schemas.image_spec import ImageSpec
from schemas.model import NormalizerFacts
from schemas.results import (
    LEAKED,
    Caveat,
    ClassMetrics,
    Drift,
    DuplicateGroup,
    Failure,
    Finding,
    Metrics,
    SplitMetrics,
    Statistics,
    find_caveats,
    largest,
    least_difference,
    unsaid,
    wilson_interval,
)

STATISTICS = Statistics(
    samples=2,
    shape=(1, 1),
    classes=("a", "b"),
    class_counts=(1, 1),
    imbalance=1.0,
    minimum=0,
    maximum=255,
    sum=2**62 + 1,
    sum_of_squares=2**80 + 1,
    mean=127.5,
    std=127.5,
    ink=0.5,
    blank=2,
    duplicates=(DuplicateGroup(images=2, sample_ids=(0, 1), labels=(0, 1)),),
    drift=(Drift(feature="ink", psi=0.1, noise=0.01),),
    findings=(Finding(check="blank", message="images whose pixels are all equal: 2", count=2, sample_ids=(0, 1)),),
)


def test_statistics_survive_json() -> None:
    """Statistics read back are equal, integers beyond float64 included."""
    assert Statistics.model_validate_json(STATISTICS.model_dump_json()) == STATISTICS


def test_normalizer_facts_survive_json_with_their_formulas() -> None:
    """The normaliser's facts read back are equal, and say in words how to apply them."""
    facts = NormalizerFacts(samples=2, shape=(1, 1), sum=255, sum_of_squares=65025, std=1.0)
    text = facts.model_dump_json()
    assert NormalizerFacts.model_validate_json(text) == facts
    assert "(scaled - mean[pixel]) / std" in text


def test_the_formulas_are_those_of_the_shape() -> None:
    """Of grey images they read as ever; of colours the mean is of pixel and channel, and N counts channels."""
    grey, colour = (
        NormalizerFacts(samples=2, shape=shape, sum=1, sum_of_squares=1, std=0.5) for shape in ((4, 5), (4, 5, 3))
    )
    assert grey.mean_formula == "mean[pixel] = 2 * (column_sum[pixel] / samples) / 255 - 1"
    assert grey.std_formula == "std = 2 / 255 * sqrt(sum_of_squares / N - (sum / N) ** 2), N = samples * rows * columns"
    assert grey.normalize_formula == "(scaled - mean[pixel]) / std"
    assert colour.mean_formula == "mean[pixel, channel] = 2 * (column_sum[pixel, channel] / samples) / 255 - 1"
    assert colour.std_formula.endswith(", N = samples * rows * columns * channels")
    assert colour.normalize_formula == "(scaled - mean[pixel, channel]) / std"
    with pytest.raises(ValidationError, match="shape"):
        NormalizerFacts(samples=2, shape=(4, 5, 2), sum=1, sum_of_squares=1, std=0.5)


@pytest.mark.parametrize("std", [0.0, -0.1, 1.1, float("nan")])
def test_a_deviation_that_cannot_be_is_refused(std: float) -> None:
    """A deviation of 0 would divide by zero, and scaled pixels cannot deviate by more than 1."""
    with pytest.raises(ValidationError, match="std"):
        NormalizerFacts(samples=2, shape=(1, 1), sum=0, sum_of_squares=0, std=std)


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Failure("samples", "samples is 5, not 6", 1), "samples is 5, not 6"),
        (Failure("blank", "blank images", 2, "sample_id", (3, 9)), "blank images: 2 (sample_id 3, 9)"),
        (Failure("label", "wrong", 1, "sample_id", (123456789,), (300,)), "wrong: 1 (sample_id 123456789: 300)"),
        (Failure("drift", "unlike", 1, "feature", ("ink",), (0.123456789,)), "unlike: 1 (feature ink: 0.123457)"),
    ],
)
def test_a_failure_reads_as_a_sentence(failure: Failure, text: str) -> None:
    """A failure says what is wrong, how often, where, and what was there."""
    assert str(failure) == text


def test_a_long_failure_is_cut_but_counted() -> None:
    """A message names five rows, says that there are more, and gives the whole count."""
    failure = Failure("blank", "blank images", 600, "sample_id", tuple(range(20)))
    assert str(failure) == "blank images: 600 (sample_id 0, 1, 2, 3, 4, ...)"


def test_failures_of_two_parts_join() -> None:
    """Joining adds the counts and keeps the first twenty rows with their values."""
    first = Failure("label", "wrong", 15, "sample_id", tuple(range(15)), tuple(range(100, 115)))
    second = Failure("label", "wrong", 30, "sample_id", tuple(range(50, 70)), tuple(range(20)))
    joined = first + second
    assert joined.count == 45
    assert joined.where == (*range(15), *range(50, 55))
    assert joined.found == (*range(100, 115), *range(5))


def split(
    samples: int = 1000,
    right: int = 950,
    supports: Sequence[int] = (500, 500),
    confusion: tuple[tuple[int, ...], ...] = (),
) -> SplitMetrics:
    """Metrics of a split with so many right predictions, of classes with so many images."""
    names = ["cat", "dog", "owl", *map(str, range(3, len(supports)))]
    return SplitMetrics(
        samples=samples, accuracy=right / samples, loss=0.1, confusion=confusion, halves=(1, 1), first_labels=(),
        first_predictions=(),
        classes=tuple(
            ClassMetrics(name=name, support=support, precision=1, recall=1, f1=1)
            for name, support in zip(names, supports, strict=False)
        ),
    )  # fmt: skip


def confused(confusion: tuple[tuple[int, ...], ...], classes: int) -> SplitMetrics:
    """Return the metrics of a split with this confusion; class `i` has `i % 7` images."""
    return split(supports=[label % 7 for label in range(classes)], confusion=confusion)


def test_both_forms_have_the_same_pairs() -> None:
    """A whole matrix, also of many classes, by older code, and one row per pair have the same pairs without zeros."""
    assert [*confused(((5, 0, 1), (0, 0, 0), (0, 2, 3)), 3).pairs] == [(0, 0, 5), (0, 2, 1), (2, 1, 2), (2, 2, 3)]
    rows = ((0, 0, 5), (0, 299, 1), (299, 0, 2))
    whole = [[0] * 300 for _ in range(300)]
    for true, predicted, count in rows:
        whole[true][predicted] = count
    assert [*confused(rows, 300).pairs] == [*confused(tuple(map(tuple, whole)), 300).pairs] == [*rows]


def test_the_matrix_of_some_classes() -> None:
    """Cells of classes that are not asked about are left out, and rows come in the order in which classes are named."""
    assert confused(((0, 0, 5), (0, 299, 1), (299, 0, 2), (7, 0, 3)), 300).matrix([299, 0]) == [[0, 2], [1, 5]]


def test_the_largest_classes() -> None:
    """Of equal ones the first are taken, and all come in class order; there may be fewer than are asked for."""
    assert largest([3, 9, 3, 9, 3], 3) == (0, 1, 3)
    assert largest([1, 2], 256) == (0, 1)
    assert confused((), 300).largest(2) == (6, 13)


@pytest.mark.parametrize(
    ("right", "samples", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9606, 10000, 0.9566, 0.9642)],
)
def test_the_interval_is_wilsons(right: int, samples: int, low: float, high: float) -> None:
    """The bounds are the shares p at which the share found lies 1.96 standard errors, of p, away."""
    found = wilson_interval(right / samples, samples)
    assert found == pytest.approx((low, high), abs=1e-4)
    for p in found:
        if 0 < p < 1:
            assert abs(right / samples - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / samples), abs=1e-7)


@pytest.mark.parametrize(
    ("high", "low", "least"),
    [
        ((56 / 70, 70), (48 / 80, 80), 0.0524),
        ((9 / 10, 10), (3 / 10, 10), 0.1705),
        ((10 / 10, 10), (0 / 20, 20), 0.6791),
    ],
)
def test_the_least_difference_is_newcombes(high: tuple[float, int], low: tuple[float, int], least: float) -> None:
    """The lower limits are those of the worked examples in Newcombe's paper (table II, method 10)."""
    assert least_difference(high, low) == pytest.approx(least, abs=1e-4)


def said(metrics: Metrics) -> dict[str, str]:
    """The caveats, by kind."""
    return {caveat.kind: caveat.message for caveat in find_caveats(metrics)}


def test_a_sound_result_has_no_caveat() -> None:
    """Without a leak, with even classes and a small gap there is nothing to say."""
    assert find_caveats(Metrics(train=split(), test=split(), leaked=0, unseen_accuracy=0.95)) == ()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((64, 64), ""),
        ((65, 20), "Images are 65 x 20 pixels, more than 64 a side: for these a perceptron is the wrong network. "),
        ((28, 96), "Images are 28 x 96 pixels, more than 64 a side: for these a perceptron is the wrong network. "),
        ((8, 8, 3), "Images are in colour: for photographs a perceptron is the wrong network. "),
        ((96, 96, 3), "Images are 96 x 96 pixels in colour, more than 64 a side: for these a perceptron is the wrong"),
    ],
)
def test_images_that_a_perceptron_is_wrong_for(shape: tuple[int, ...], words: str) -> None:
    """Colours, and more than 64 pixels a side, are said with the network that is right; of older metrics nothing is."""
    found = said(
        Metrics(train=split(), test=split(), leaked=0, unseen_accuracy=0.95, shape=ImageSpec.model_validate(shape))
    )
    assert found.keys() == ({"perceptron"} if words else set())
    assert found.get("perceptron", "").startswith(words)


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
