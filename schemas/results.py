"""What the stages find: statistics and failed checks of the data, metrics of the model, and how far to believe them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, Field

from schemas.calibration import Calibration
from schemas.image_spec import ImageSpec
from schemas.text import share

PROFILE, STATISTICS = "profile.parquet", "statistics.json"
"""What validate leaves: a row per image, and the split in figures."""
PROFILE_TYPES = {
    "sample_id": "uint32", "label": "uint16", "minimum": "uint8", "maximum": "uint8", "mean": "float32",
    "ink": "float32", "spread": "uint8", "digest": "uint64",
}  # fmt: skip
"""
Columns of the profile, by Arrow's names; none has nulls.

Intensities are raw values, 0 to 255, in colour over all three channels; ink is the share of pixels that are not 0, in
colour not black; spread is the largest difference of two pixels, in colour in one channel; digest is a 64-bit hash.
"""
METRICS, PREDICTIONS, CONFUSION = "metrics.json", "predictions.parquet", "confusion.csv"
"""What evaluate leaves: `Metrics`, a row per image, and the confusion matrix of the test split."""
REPORT = "report.html"
"""The page that report leaves, beside its figures."""
CheckName = Literal["blank", "duplicate", "leak", "missing_class", "imbalance", "drift"]
Feature = Literal["label", "mean", "ink"]
FEATURES: tuple[Feature, ...] = get_args(Feature)
"""Columns of the profile whose drift is measured."""
SHOWN = 20
"""Sample ids, and groups of duplicates, that are listed at most; counts are always complete."""


class Finding(BaseModel, frozen=True):
    """Something unusual about a split that the data set's checks only warn of; an error leaves no statistics."""

    check: CheckName
    message: str = Field(description="one sentence, with the count")
    count: int = Field(description="what was found: images, classes or features, as the message says")
    sample_ids: tuple[int, ...] = Field(default=(), description="the first 20 images that are meant, if any are")


class DuplicateGroup(BaseModel, frozen=True):
    """Images of one split with the same pixels."""

    images: int = Field(description="size of the group, at least 2")
    sample_ids: tuple[int, ...] = Field(description="its first 20 images, ascending")
    labels: tuple[int, ...] = Field(
        description="the different labels of the whole group; more than one is a contradiction"
    )


class Drift(BaseModel, frozen=True):
    """How unlike the train split this split is, in one feature of the profile."""

    feature: Feature
    psi: float = Field(description="population stability index, 0 where both splits are distributed alike")
    noise: float = Field(description="what the index would be on average for two samples of one population")


class Statistics(BaseModel, frozen=True):
    """
    A valid split in figures. Pixel values are raw ones, 0 to 255; in colour each figure but ink is over all channels.

    `sum` and `sum_of_squares` are exact integers over all samples * rows * columns * channels values.
    """

    samples: int
    shape: ImageSpec = Field(description="of an image")
    classes: tuple[str, ...] = Field(description="class names, in label order")
    class_counts: tuple[int, ...] = Field(description="images of each class, in label order")
    imbalance: float = Field(description="largest class over smallest, of the classes that occur")
    minimum: int
    maximum: int
    sum: int
    sum_of_squares: int
    mean: float
    std: float = Field(description="population standard deviation")
    ink: float = Field(description="share of pixels that are not 0, in colour not black, in [0, 1]")
    blank: int = Field(description="images whose pixels are all equal, in colour of one colour")
    duplicates: tuple[DuplicateGroup, ...] = Field(default=(), description="the first 20 groups, by their first image")
    drift: tuple[Drift, ...] = Field(
        default=(), description="against the train split; empty for the train split itself"
    )
    findings: tuple[Finding, ...] = Field(default=(), description="what was warned of")


SHOWN_IN_TEXT = 5
"""Rows that a message names; the others are in its count."""


@dataclass(frozen=True)
class Failure:
    """
    One failed check over all of its rows.

    Args:
        check: the check's name.
        fault: what is wrong, in words.
        count: failing rows; 1 when it is a column as a whole that fails.
        index: what the rows are known by: sample_id, class or feature.
        where: the first 20 of them.
        found: their values, where the check is about one column.
        names: the files that they come from, where there are any.
    """

    check: str
    fault: str
    count: int
    index: str = ""
    where: tuple[Any, ...] = ()
    found: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()

    def __add__(self, other: Failure) -> Failure:
        """Join the failures of one check in two parts of a table, in their order."""
        where, found = (self.where + other.where)[:SHOWN], (self.found + other.found)[:SHOWN]
        return replace(self, count=self.count + other.count, where=where, found=found)

    def __str__(self) -> str:
        """Return the fault, the count, and the first few rows, or their files, with what they hold."""
        called = self.names or self.where
        rows = (
            [
                f"{row}: {f'{value:g}' if isinstance(value, float) else value}"
                for row, value in zip(called, self.found, strict=True)
            ]
            if self.found
            else called
        )
        if not rows:
            return self.fault
        few = ", ".join(str(row) for row in rows[:SHOWN_IN_TEXT])
        index = "" if self.names else f"{self.index} "
        return f"{self.fault}: {self.count} ({index}{few}{', ...' if self.count > SHOWN_IN_TEXT else ''})"


LISTED = 256
"""
Classes that a printed table lists at most, and up to which a confusion matrix is stored whole.

Of 65,536 classes a whole matrix has four billion cells, of which no more are above 0 than there are images.
"""


class Pair(NamedTuple):
    """Images of one class that were taken for one class, the same or another: class indices, and how many images."""

    true: int
    predicted: int
    images: int


def largest(sizes: Sequence[int], most: int) -> tuple[int, ...]:
    """Return the places of the `most` largest sizes, ascending; of equal ones the first."""
    return tuple(sorted(sorted(range(len(sizes)), key=lambda place: -sizes[place])[:most]))


class ClassMetrics(BaseModel, frozen=True):
    """One class against all others. Each ratio is in [0, 1], and 0 where its denominator is 0."""

    name: str
    support: int = Field(description="images of this class")
    precision: float = Field(description="right predictions of this class / predictions of this class")
    recall: float = Field(description="right predictions of this class / images of this class")
    f1: float = Field(description="harmonic mean of precision and recall")
    interval: tuple[float, float] | None = Field(
        default=None,
        description="Wilson's 95 % interval of the recall, on test; None where it has no images, and in older files",
    )


class SplitMetrics(BaseModel, frozen=True):
    """Every image of one split, scored once."""

    samples: int
    accuracy: float = Field(description="share of right predictions, in [0, 1]")
    loss: float = Field(description="mean categorical cross-entropy, in nats")
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="[true class][predicted class], counts of images; of more than 256 classes one row per pair that"
        " occurs: true class, predicted class, count"
    )
    halves: tuple[float, float] = Field(description="accuracy of the first samples // 2 rows, and of the others")
    first_labels: tuple[int, ...] = Field(description="labels of the first three rows")
    first_predictions: tuple[int, ...] = Field(description="predictions for the first three rows")
    interval: tuple[float, float] | None = Field(
        default=None,
        description="Wilson's 95 % interval of the accuracy on test; None of the train split, and in older files",
    )
    calibration: Calibration | None = Field(default=None, description="None in older files")

    @property
    def pairs(self) -> Iterator[Pair]:
        """The pairs of a true and a predicted class that occur, in class order."""
        if self.confusion and len(self.confusion[0]) == len(self.classes):
            rows = enumerate(self.confusion)
            return (Pair(true, at, count) for true, row in rows for at, count in enumerate(row) if count)
        return (Pair(*row) for row in self.confusion)

    def matrix(self, classes: Sequence[int]) -> list[list[int]]:
        """Return the confusion matrix of some classes alone: [true class][predicted class], by their places."""
        place = {label: at for at, label in enumerate(classes)}
        cells = [[0] * len(classes) for _ in classes]
        for true, predicted, count in self.pairs:
            if true in place and predicted in place:
                cells[place[true]][place[predicted]] = count
        return cells

    def largest(self, most: int = LISTED) -> tuple[int, ...]:
        """Return the `most` classes with the most images, as class indices, ascending."""
        return largest([one.support for one in self.classes], most)


class Metrics(BaseModel, frozen=True):
    """The metrics of both splits."""

    train: SplitMetrics
    test: SplitMetrics
    leaked: int | None = Field(
        default=None, description="test images that occur in the train split; None in older files"
    )
    unseen_accuracy: float | None = Field(
        default=None, description="accuracy on the other test images, in [0, 1]; None where there is none"
    )
    shape: ImageSpec | None = Field(default=None, description="of an image; None in older files")


def wilson_interval(share: float, samples: int) -> tuple[float, float]:
    """
    Return the 95 % confidence interval of a share of `samples` (E. B. Wilson, 1927), in [0, 1].

    It holds for small samples and near 1, where the plain standard error is too narrow.
    """
    z = 1.959964
    centre = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    reach = z / (1 + z * z / samples) * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def least_difference(high: tuple[float, int], low: tuple[float, int]) -> float:
    """
    Return the lower end of the 95 % interval of the difference of two independent shares, `high` less `low`.

    It follows from the Wilson intervals of both (R. G. Newcombe, 1998, method 10); above 0 chance does not explain it.

    Args: high, low: a share in [0, 1], and of how many samples it is.
    """
    (one, _), (other, _) = high, low
    return one - other - math.hypot(one - wilson_interval(*high)[0], wilson_interval(*low)[1] - other)


LEAKED = "images that occur in the train split as well"
"""How validate calls them; the caveat says it with the figures that follow from it."""
LARGEST_SHARE = 0.5
"""Share of the largest class above which a caveat says it."""
LARGEST_SIDE = 64
"""Pixels of an image's longer side above which a caveat says that a perceptron is the wrong network."""
LARGEST_GAP = 0.05
"""How far train accuracy may be above test accuracy without a caveat."""


class Caveat(BaseModel, frozen=True):
    """A reason to believe the test accuracy less, or to expect more of another network."""

    kind: str = Field(description="leak, majority, gap or perceptron")
    message: str = Field(description="one or two short sentences, with the figures")


def find_caveats(metrics: Metrics) -> tuple[Caveat, ...]:
    """
    Say what voids or weakens the test accuracy, the most serious first.

    - leak: test images occur in the train split as well; with the accuracy on the others.
    - majority: more than half of the test images are of one class.
    - gap: the train accuracy is more than 5 points above the test accuracy, and the 95 % interval of their difference
      (Newcombe) does not reach 0: sampling alone does not explain it.
    - perceptron: images are in colour, or have more than 64 pixels a side.
    """
    found = {
        "leak": _leak(metrics),
        "majority": _majority(metrics),
        "gap": _gap(metrics),
        "perceptron": _perceptron(metrics.shape),
    }
    return tuple(Caveat(kind=kind, message=message) for kind, message in found.items() if message)


def unsaid(warnings: Iterable[str], caveats: tuple[Caveat, ...]) -> Iterator[str]:
    """Yield the warnings of a run that none of its caveats says again, so that each thing is said once."""
    leak = any(caveat.kind == "leak" for caveat in caveats)
    return (warning for warning in warnings if not (leak and LEAKED in warning))


def _leak(metrics: Metrics) -> str:
    samples, leaked = metrics.test.samples, metrics.leaked
    if not leaked:
        return ""
    if metrics.unseen_accuracy is None:
        return f"All {samples:,} test images occur in the train split: none of them was unseen."
    occur = "occurs" if leaked == 1 else "occur"
    return (
        f"{leaked:,} of {samples:,} test images ({share(leaked / samples)}) {occur} in the train split; "
        f"accuracy on the unseen ones: {share(metrics.unseen_accuracy)} of {samples - leaked:,}."
    )


def _majority(metrics: Metrics) -> str:
    largest = max(metrics.test.classes, key=lambda one: one.support, default=None)
    part = largest.support / metrics.test.samples if largest else 0.0
    if largest is None or part <= LARGEST_SHARE:
        return ""
    return (
        f"{share(part)} of the test images are of one class, {largest.name}: always naming it would be right as often."
    )


def _gap(metrics: Metrics) -> str:
    train, test = metrics.train, metrics.test
    gap = train.accuracy - test.accuracy
    if gap <= LARGEST_GAP or least_difference((train.accuracy, train.samples), (test.accuracy, test.samples)) <= 0:
        return ""
    return (
        f"Test accuracy is {100 * gap:.2f} points below train accuracy, more than chance explains: "
        "the model overfits, or the splits differ."
    )


def _perceptron(shape: ImageSpec | None) -> str:
    if shape is None:
        return ""
    large = max(shape.rows, shape.columns) > LARGEST_SIDE
    if not large and not shape.colour:
        return ""
    why = (
        f"Images are {shape.words}, more than {LARGEST_SIDE} a side: for these"
        if large
        else "Images are in colour: for photographs"
    )
    return (
        f"{why} a perceptron is the wrong network. It compares pixel with pixel and knows no shapes; "
        "a convolutional network names far more of them right."
    )
