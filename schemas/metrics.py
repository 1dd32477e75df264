"""What evaluate measures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
    confusion: tuple[tuple[int, ...], ...] = Field(description="[true class][predicted class], counts of images")
    halves: tuple[float, float] = Field(description="accuracy of the first samples // 2 rows, and of the others")
    first_labels: tuple[int, ...] = Field(description="labels of the first three rows")
    first_predictions: tuple[int, ...] = Field(description="predictions for the first three rows")


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
