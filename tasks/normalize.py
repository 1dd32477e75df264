"""Normalize: fit the mean image and the one standard deviation that the network subtracts and divides by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.content import array_content
from schemas.counts import counted
from schemas.errors import InvalidData
from schemas.model import MEAN, NORMALIZER, NormalizerFacts
from schemas.parameters import Summary
from schemas.part_facts import SUMS
from schemas.results import STATISTICS, Statistics
from tasks.quality.pixel_sums import PixelSums


def normalize_pixels(raw: npt.NDArray[np.uint8], mean: npt.NDArray[np.float64], std: float) -> npt.NDArray[np.float32]:
    """
    Normalise raw pixels as the tutorial does: scale to [-1, 1], take the mean image off, divide by one deviation.

    ((raw / 255 - 0.5) * 2 - mean) / std, each operation in float64 and in this order, the result rounded once to
    float32. Only 256 values are scaled; the rest looks them up, bit for bit the same.

    Args:
        raw:  uint8 (n, pixels).
        mean: float64 (pixels,), in [-1, 1].
        std:  above 0.
    Returns:  float32 (n, pixels).
    """
    scaled = (np.arange(256) / 255 - 0.5) * 2
    return ((scaled[raw] - mean) / std).astype(np.float32)


def fit_normalizer(sums: PixelSums, statistics: Statistics) -> tuple[NormalizerFacts, npt.NDArray[np.float64]]:
    """
    Fit the normaliser to the train split.

    Args:
        sums:       over all of its images.
        statistics: of the validated split; its sums and number of images have to be those.
    Returns: the facts, and the mean image: float64 (pixels,), in [-1, 1].
    Raises:  InvalidData: the statistics are not those of these images, or all pixels are equal.
    """
    validated = statistics.samples, statistics.sum, statistics.sum_of_squares
    found = sums.samples, sums.sum, sums.squares
    if found != validated:

        def text(samples: int, total: int, squares: int) -> str:
            return f"{counted(samples, 'image')}, pixel sum {total}, sum of squares {squares}"

        raise InvalidData(
            "the train split",
            expected=f"{text(*validated)}, as validated",
            found=text(*found),
            way_out="Run `idxflow run --refresh validate` to validate it.",
        )
    if sums.std == 0:
        raise InvalidData(
            "the train split",
            expected="pixels that differ",
            found=f"{counted(sums.samples, 'image')} whose pixels are all {statistics.minimum}",
            way_out="There is nothing to learn from them: check the image files of the train split.",
        )
    facts = NormalizerFacts(
        samples=sums.samples, shape=statistics.shape, sum=sums.sum, sum_of_squares=sums.squares, std=sums.std
    )
    return facts, sums.mean


class NormalizeSummary(Summary):
    """The fitted normaliser, briefly; on the scale of [-1, 1]."""

    samples: int
    mean: float
    std: float


@stage()
def normalize(validated: Ref, out: Path) -> NormalizeSummary:
    """
    Fit the normaliser to the train split, whose pixels were summed where its parts were profiled.

    `validated`, of validate, is the proof that the split passed every check.
    """
    statistics = Statistics.model_validate_json(validated.file(STATISTICS).read_bytes())
    columns = np.load(validated.file(SUMS), allow_pickle=False)
    facts, mean = fit_normalizer(PixelSums(statistics.samples, columns, statistics.sum_of_squares), statistics)
    (out / NORMALIZER).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    np.save(out / MEAN, mean, allow_pickle=False)
    return NormalizeSummary(
        content={MEAN: array_content(mean)}, samples=facts.samples, mean=float(mean.mean()), std=facts.std
    )
