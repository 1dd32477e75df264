"""Reference: what whoever names new images with a network has to know of its training, in one small file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.arrays import numbers
from schemas.calibration import TYPICAL
from schemas.datasets import TableSpec
from schemas.parameters import Summary
from schemas.pictures import PictureSpec
from schemas.results import METRICS, PREDICTIONS, Metrics
from schemas.scoring import PIXEL_FEATURES, REFERENCE, DriftFeature, Histogram, Meaning, Reference
from tasks.formats.table import Parts, profile_of
from tasks.quality.drift import deciles, histogram
from tasks.quality.profile import Profiles, read_column

FEWEST = 100
"""Test images below which no threshold is given: the least sure of them are too few."""


def meaning_of(spec: TableSpec, picture: PictureSpec | None, dataset: str) -> Meaning:
    """Return what a train table's images and labels mean. Args: picture: how pictures were prepared, if they were."""
    return Meaning(
        shape=spec.shape,
        classes=spec.classes,
        stored=spec.stored_labels,
        transpose=spec.transpose,
        picture=picture,
        dataset=dataset,
    )


def describe(meaning: Meaning, profile: Profiles, predictions: Path, metrics: Metrics) -> Reference:
    """Gather what is known. Args: profile: of the train split; predictions, metrics: from evaluate."""
    import pyarrow.parquet as pq

    test = pq.ParquetFile(predictions).read(["predicted", "probability"]).slice(metrics.train.samples)  # train first
    predicted, probability = numbers(test["predicted"]), numbers(test["probability"])
    columns = {name: read_column(profile, name) for name in PIXEL_FEATURES}
    extremes = {name: (float(values.min()), float(values.max())) for name, values in columns.items()}
    histograms: dict[DriftFeature, Histogram] = {
        "mean": over_deciles(columns["mean"]),
        "ink": over_deciles(columns["ink"]),
        "class": over(predicted, np.arange(1, len(meaning.classes))),
        "probability": over_deciles(probability.copy()),
    }
    calibration = metrics.test.calibration
    row = calibration.at(TYPICAL) if calibration and metrics.test.samples >= FEWEST else None
    return Reference(
        dataset=meaning.dataset,
        shape=meaning.shape,
        classes=meaning.classes,
        stored=meaning.stored,
        transpose=meaning.transpose,
        picture=meaning.picture,
        histograms=histograms,
        extremes=extremes,
        sure=row.threshold if row else None,
        sure_right=row.accuracy if row else None,
        accuracy=metrics.test.accuracy,
    )


def over(values: npt.NDArray[np.generic], edges: npt.NDArray[np.generic]) -> Histogram:
    """Count values between edges; see `Histogram`."""
    return Histogram(edges=tuple(edges.tolist()), counts=tuple(histogram(values, edges).tolist()))


def over_deciles(values: npt.NDArray[np.generic]) -> Histogram:
    """Count values between their own deciles; they are moved about."""
    edges = deciles(values)
    return over(values, edges)


class ReferenceSummary(Summary):
    """From which probability the network counts as sure."""

    sure: float | None


@stage(packages=("numpy",))
def reference(profile: Parts, scores: Ref, meaning: Meaning, out: Path) -> ReferenceSummary:
    """Write what is known of a network's training. Args: profile: of its train split; scores: its evaluation."""
    metrics = Metrics.model_validate_json(scores.file(METRICS).read_bytes())
    found = describe(meaning, profile_of(profile), scores.file(PREDICTIONS), metrics)
    (out / REFERENCE).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return ReferenceSummary(sure=found.sure)
