"""A small model as train and evaluate leave it: real weights, a real test table, real predictions."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from schemas.image_spec import ImageSpec
from schemas.image_table import Batch, TableMetadata, write_table
from schemas.training import Training
from tasks.evaluate import write_predictions
from tasks.quality.scoring import score

SMALL = Training(hidden=(7,))
IMAGES = 90
"""Test images: more than the first batches of a proof have together, and no multiple of them."""


@dataclass(frozen=True)
class RealModel:
    """The bytes of `model.keras`, of the test table and of its predictions."""

    model: bytes
    table: bytes
    predictions: bytes


@cache
def real_model(
    training: Training = SMALL,
    shape: tuple[int, ...] = (8, 8),
    classes: int = 10,
    temperature: float | None = None,
) -> RealModel:
    """Build a model with random weights and random test images, and predict those."""
    from tasks.fitting.backend import keras
    from tasks.fitting.network import build_network

    draw = np.random.default_rng(5)
    image = draw.integers(0, 256, (IMAGES, *shape), np.uint8)
    mean = draw.uniform(-1, 1, shape)
    model = build_network(training, mean, 0.3, classes, 100).classifier
    if temperature:
        logits = model.get_layer("probabilities").input
        scaled = keras.layers.Rescaling(1 / temperature, name="temperature")(logits)
        model = keras.Model(model.input, keras.layers.Softmax(name="probabilities")(scaled), name="classifier")
    flat = image.reshape(IMAGES, -1)
    label = draw.integers(0, classes, IMAGES).astype(np.uint16)
    batch = Batch(np.arange(IMAGES, dtype=np.uint32), label, flat)
    names = tuple(map(str, range(classes)))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("model.keras", "table.parquet", "predictions.parquet")]
        model.save(files[0])
        metadata = TableMetadata(split="test", shape=ImageSpec.model_validate(list(shape)), classes=names)
        write_table(files[1], metadata, [batch])
        scores = score(np.asarray(model(flat)), label)
        # The train split's rows stand before those of the test split.
        train = Batch(batch.sample_id[:3], label[:3], flat[:3])
        write_predictions(
            files[2],
            iter([("train", train, score(np.eye(3, classes, dtype="f4"), label[:3])), ("test", batch, scores)]),
        )
        return RealModel(*(file.read_bytes() for file in files))
