"""A small split that a perceptron can learn, as arrays and as the artifacts that train and evaluate take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from artifacts.ref import Ref
from schemas.image_table import Batch, ImageTable, TableMetadata, write_table
from schemas.model import NormalizerFacts
from tests.tasks.refs import bind

SHAPE = (3, 2)
CLASSES = ("low", "middle", "high")
MEAN = np.linspace(-0.3, 0.2, 6)
STD = 0.5


def small_split(rows: int, seed: int = 7) -> Batch:
    """Return `rows` images of six pixels whose brightness, with some noise, is their class."""
    random = np.random.default_rng(seed)
    label = random.integers(0, len(CLASSES), rows, np.uint16)
    image = np.clip(random.normal(60 + 70.0 * label[:, np.newaxis], 40, (rows, 6)), 0, 255).astype(np.uint8)
    return Batch(np.arange(rows, dtype=np.uint32), label, image)


def written(
    path: Path, data: Batch, split: str = "train", classes: tuple[str, ...] = CLASSES, group: int = 40
) -> ImageTable:
    """Write `data` as the table of a split, in row groups of `group`, and open it."""
    metadata = TableMetadata(split=split, shape=SHAPE, classes=classes)
    cuts = [slice(start, start + group) for start in range(0, len(data.label), group)]
    write_table(path, metadata, (Batch(data.sample_id[cut], data.label[cut], data.image[cut]) for cut in cuts))
    return ImageTable(path)


def table_artifact(folder: Path, split: str, data: Batch, classes: tuple[str, ...] = CLASSES, group: int = 40) -> Ref:
    """Write `data` as the table of a split, in row groups of `group`, and return its artifact."""
    folder.mkdir()
    written(folder / "table.parquet", data, split, classes, group)
    return bind("parse", folder)


def normalizer_artifact(folder: Path) -> Ref:
    """Write a normaliser with MEAN and STD and return its artifact."""
    folder.mkdir()
    facts = NormalizerFacts(samples=1, shape=SHAPE, sum=0, sum_of_squares=0, std=STD)
    (folder / "normalizer.json").write_text(facts.model_dump_json())
    np.save(folder / "mean.npy", MEAN)
    return bind("normalize", folder)


def same_weights(one: list[Any], other: list[Any]) -> bool:
    """Return whether two networks have the same weights, to the bit."""
    return [weight.tobytes() for weight in one] == [weight.tobytes() for weight in other]
