"""What evaluate measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

LISTED = 256
"""
Classes that a table for people lists at most, and up to which a confusion matrix is stored whole.

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


class ClassMetrics(BaseModel):
    """One class against all others. Each ratio is in [0, 1], and 0 where its denominator is 0."""

    model_config = ConfigDict(frozen=True)
    name: str
    support: int = Field(description="images of this class")
    precision: float = Field(description="right predictions of this class / predictions of this class")
    recall: float = Field(description="right predictions of this class / images of this class")
    f1: float = Field(description="harmonic mean of precision and recall")


class SplitMetrics(BaseModel):
    """Every image of one split, scored once."""

    model_config = ConfigDict(frozen=True)
    samples: int
    accuracy: float = Field(description="share of right predictions, in [0, 1]")
    loss: float = Field(description="mean categorical cross-entropy, in nats")
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...] = Field(
        description="[true class][predicted class], counts of images; of more than 256 classes a row a pair that"
        " occurs: true class, predicted class, count"
    )
    halves: tuple[float, float] = Field(description="accuracy of the first samples // 2 rows, and of the others")
    first_labels: tuple[int, ...] = Field(description="labels of the first three rows")
    first_predictions: tuple[int, ...] = Field(description="predictions for the first three rows")

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


class Metrics(BaseModel):
    """The metrics of both splits."""

    model_config = ConfigDict(frozen=True)
    train: SplitMetrics
    test: SplitMetrics
    leaked: int | None = Field(
        default=None, description="test images that occur in the train split; None in older files"
    )
    unseen_accuracy: float | None = Field(
        default=None, description="accuracy on the other test images, in [0, 1]; None where there is none"
    )
