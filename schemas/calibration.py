"""How far a model's probabilities can be believed: what they say, beside how often they are right."""

from __future__ import annotations

from pydantic import BaseModel, Field

from schemas.text import share, span

BINS = 15
"""Of equal width, over the probability of the predicted class."""
LEFT_OUT = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of the images, the least sure ones, that a coverage table leaves to a person."""
TYPICAL = 0.05
"""The one of these that a line for people names."""
LARGEST_ERROR = 0.03
"""Calibration error above which a run proposes to calibrate."""
FEWEST_ROWS = 200
"""Held-out rows below which no temperature is fitted."""


class ReliabilityBin(BaseModel, frozen=True):
    """The images whose predicted class has a probability within bounds; of none there is neither mean nor accuracy."""

    lower: float = Field(description="of the probability; it is above this, but for the first bin")
    upper: float = Field(description="it is at most this")
    images: int
    confidence: float | None = Field(default=None, description="mean probability of the predicted class, in [0, 1]")
    accuracy: float | None = Field(default=None, description="share of right predictions, in [0, 1]")


class Coverage(BaseModel, frozen=True):
    """What the model is worth where a person looks at the images of which it is least sure."""

    left_out: float = Field(description="share of the images that are left to a person, at most")
    threshold: float = Field(description="the model counts as sure where the predicted class has at least this")
    images: int = Field(description="those of which it is sure")
    accuracy: float = Field(description="share of these that are right, in [0, 1]")
    interval: tuple[float, float] = Field(description="Wilson's 95 % interval of that")


class Calibration(BaseModel, frozen=True):
    """
    The probabilities of a split.

    The expected calibration error (C. Guo et al., "On calibration of modern neural networks", ICML 2017) is the mean
    distance of confidence and accuracy over 15 bins, each weighted by its images.
    """

    error: float = Field(description="expected calibration error, in [0, 1]")
    bins: tuple[ReliabilityBin, ...]
    coverage: tuple[Coverage, ...] = Field(default=(), description="of the test split, the whole of it first")

    def at(self, left_out: float) -> Coverage | None:
        """Return the row of a coverage table; None where it has none."""
        return next((row for row in self.coverage if row.left_out == left_out), None)


def calibration_words(error: float, row: Coverage | None, *, asked: bool) -> str:
    """
    Say how far probabilities can be believed, what to do where that is not far, and what it is good for.

    Args: error: expected calibration error.  row: of the coverage table, if it has one that can be named.
          asked: whether the training was to calibrate.
    """
    words = f"probabilities are {100 * error:.1f} points off on average (ECE)"
    if error > LARGEST_ERROR and not asked:
        words += "; try --set training.calibrate=true"
    if row is None:
        return words
    rest = f"{share(row.accuracy)} of the rest are right ({span(row.interval)})"
    return f"{words}; leave the {100 * row.left_out:g} % least sure to a person, and {rest}"
