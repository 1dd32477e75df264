"""What validate leaves in `statistics.json` and normalize in `normalizer.json`."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from schemas.image_spec import ImageSpec

CheckName = Literal["blank", "duplicate", "leak", "missing_class", "imbalance", "drift"]
Feature = Literal["label", "mean", "ink"]
FEATURES: tuple[Feature, ...] = get_args(Feature)
"""Columns of the profile whose drift is measured."""
SHOWN = 20
"""Sample ids, and groups of duplicates, that are listed at most; counts are always complete."""


class Finding(BaseModel):
    """Something unusual about a split that the data set's checks only warn of; an error leaves no statistics."""

    model_config = ConfigDict(frozen=True)
    check: CheckName
    message: str = Field(description="one sentence for people, with the count")
    count: int = Field(description="what was found: images, classes or features, as the message says")
    sample_ids: tuple[int, ...] = Field(default=(), description="the first 20 images that are meant, if any are")


class DuplicateGroup(BaseModel):
    """Images of one split with the same pixels."""

    model_config = ConfigDict(frozen=True)
    images: int = Field(description="size of the group, at least 2")
    sample_ids: tuple[int, ...] = Field(description="its first 20 images, ascending")
    labels: tuple[int, ...] = Field(
        description="the different labels of the whole group; more than one is a contradiction"
    )


class Drift(BaseModel):
    """How unlike the train split this split is, in one feature of the profile."""

    model_config = ConfigDict(frozen=True)
    feature: Feature
    psi: float = Field(description="population stability index, 0 where both splits are distributed alike")
    noise: float = Field(description="what the index would be on average for two samples of one population")


class Statistics(BaseModel):
    """
    A valid split in figures. Pixel values are raw ones, 0 to 255.

    `sum` and `sum_of_squares` are exact integers over all samples * rows * columns pixels.
    """

    model_config = ConfigDict(frozen=True)
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
    ink: float = Field(description="share of pixels that are not 0, in [0, 1]")
    blank: int = Field(description="images whose pixels are all equal")
    duplicates: tuple[DuplicateGroup, ...] = Field(default=(), description="the first 20 groups, by their first image")
    drift: tuple[Drift, ...] = Field(
        default=(), description="against the train split; empty for the train split itself"
    )
    findings: tuple[Finding, ...] = Field(default=(), description="what was warned of")


class NormalizerFacts(BaseModel):
    """
    The fitted normaliser, next to `mean.npy` (float64, one value a pixel, row-major, in [-1, 1]).

    With c the column sums of the n train images, q the sum of all squares and N = n * rows * columns:
    mean = 2 (c / n) / 255 - 1 and std = (2 / 255) sqrt(q / N - (sum c / N)^2). They are the mean image and the
    global standard deviation of the scaled pixels (x / 255 - 0.5) * 2 before that mean is taken off.
    """

    model_config = ConfigDict(frozen=True)
    samples: int = Field(description="n, the images that it was fitted on")
    shape: ImageSpec = Field(description="of an image")
    sum: int = Field(description="sum of all raw pixels, exact")
    sum_of_squares: int = Field(description="q, sum of the squares of all raw pixels, exact")
    std: float = Field(gt=0, le=1, description="one standard deviation for all pixels, on the scale of [-1, 1]")
    scale_formula: str = "scaled = (x / 255 - 0.5) * 2, for a raw pixel x from 0 to 255"
    mean_formula: str = "mean[pixel] = 2 * (column_sum[pixel] / samples) / 255 - 1"
    std_formula: str = "std = 2 / 255 * sqrt(sum_of_squares / N - (sum / N) ** 2), N = samples * rows * columns"
    normalize_formula: str = "(scaled - mean[pixel]) / std"
