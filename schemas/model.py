"""
A model as others take it: its file, the normaliser that it stands on, and what its bits depend on.

No configuration stands here: what takes a model is not computed again because a profile or a setting is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from schemas.image_spec import ImageSpec

NORMALIZER, MEAN = "normalizer.json", "mean.npy"
"""What normalize leaves: `NormalizerFacts`, and the mean image, float64 (values,), row-major, in [-1, 1]."""
MODEL = "model.keras"
"""What train leaves: the model, from raw pixels to probabilities."""


class Numerics(BaseModel, frozen=True):
    """What training depends on beside data and configuration: the same here means bit-identical weights."""

    tensorflow: str
    keras: str
    numpy: str
    machine: str = Field(description="instruction set, as the operating system names it")
    onednn: str = Field(description="TF_ENABLE_ONEDNN_OPTS: 0, 1, or default")
    deterministic_ops: str = Field(description="TF_DETERMINISTIC_OPS: 0, 1, or default")
    xla_flags: str = Field(default="", description="XLA_FLAGS: how updates are compiled, if not as usual")
    intra_op_threads: int = Field(description="threads inside one operation; 0 is one per core")
    inter_op_threads: int = Field(description="operations at once; 0 is one per core")


class NormalizerFacts(BaseModel, frozen=True):
    """
    The fitted normaliser, next to `mean.npy` (float64, one value per pixel, row-major, in [-1, 1]).

    In colour it is a value per pixel and channel. The one deviation is over all values, so that a channel that hardly
    differs stays faint. With c the column sums of the n train images, q the sum of all squares and N = n * values:
    mean = 2 (c / n) / 255 - 1 and std = (2 / 255) sqrt(q / N - (sum c / N)^2). They are the mean image and the
    global standard deviation of the scaled pixels (x / 255 - 0.5) * 2 before that mean is taken off.
    """

    samples: int = Field(description="n, the images that it was fitted on")
    shape: ImageSpec = Field(description="of an image")
    sum: int = Field(description="sum of all raw pixels, exact")
    sum_of_squares: int = Field(description="q, sum of the squares of all raw pixels, exact")
    std: float = Field(gt=0, le=1, description="one standard deviation for all pixels, on the scale of [-1, 1]")
    scale_formula: str = "scaled = (x / 255 - 0.5) * 2, for a raw pixel x from 0 to 255"
    mean_formula: str = Field(default_factory=lambda facts: _formulas(facts)[0])
    std_formula: str = Field(default_factory=lambda facts: _formulas(facts)[1])
    normalize_formula: str = Field(default_factory=lambda facts: _formulas(facts)[2])


def _formulas(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return mean, deviation and normalised value in words of arithmetic, for images of the shape in these facts."""
    shape = facts.get("shape")
    colour = isinstance(shape, ImageSpec) and shape.colour  # none where the shape itself is wrong, which is told first
    at, values = ("pixel, channel", "rows * columns * channels") if colour else ("pixel", "rows * columns")
    return (
        f"mean[{at}] = 2 * (column_sum[{at}] / samples) / 255 - 1",
        f"std = 2 / 255 * sqrt(sum_of_squares / N - (sum / N) ** 2), N = samples * {values}",
        f"(scaled - mean[{at}]) / std",
    )
