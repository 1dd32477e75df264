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
"""Calibration error beyond that of chance above which a run proposes to calibrate."""
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

    asked: float = Field(description="share of the images that may be left to a person")
    left_out: float = Field(description="share that is: less where images at the threshold are equally probable")
    threshold: float = Field(description="the model counts as sure where the predicted class has at least this")
    images: int = Field(description="those of which it is sure")
    accuracy: float = Field(description="share of these that are right, in [0, 1]")
    interval: tuple[float, float] = Field(description="Wilson's 95 % interval of that")


class Calibration(BaseModel, frozen=True):
    """
    The probabilities of a split.

    The expected calibration error (C. Guo et al., "On calibration of modern neural networks", ICML 2017) is the mean
    distance of confidence and accuracy over 15 bins, each weighted by its images. Of few images it is never 0: what a
    model with the same probabilities would have, if each of them was right just as often, is chance.
    """

    error: float = Field(description="expected calibration error, in [0, 1]")
    chance: float = Field(description="what it would be on average if every probability was right")
    bins: tuple[ReliabilityBin, ...]
    coverage: tuple[Coverage, ...] = Field(default=(), description="of the test split, the whole of it first")

    def at(self, asked: float) -> Coverage | None:
        """Return the row of a coverage table; None where it has none."""
        return next((row for row in self.coverage if row.asked == asked), None)

    @property
    def poor(self) -> bool:
        """Whether it is worth to calibrate."""
        return self.error - self.chance > LARGEST_ERROR

    def words(self, *, propose: bool) -> str:
        """
        Say how far the probabilities can be believed, what to do where that is not far, and what it is good for.

        Args: propose: to calibrate, where that is worth it.
        """
        told = (
            f"probabilities are {points(self.error)} points off on average (ECE), {points(self.chance)} by chance alone"
        )
        if propose and self.poor:
            told += "; try --set training.calibrate=true"
        if (row := self.at(TYPICAL)) is None:
            return told
        rest = f"{share(row.accuracy)} of the rest are right ({span(row.interval)})"
        return f"{told}; leave the {points(row.left_out)} % least sure to a person, and {rest}"


def points(ratio: float) -> str:
    """Return a ratio in [0, 1] in hundredths, as `0.7` or `5`."""
    return f"{100 * ratio:.1f}".removesuffix(".0")
