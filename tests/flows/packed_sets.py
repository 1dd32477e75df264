"""Small sets in the forms that people have: folders, archives, tables, arrays; and what a run made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from artifacts.engine.plan import PlannedStage
from artifacts.store.store import Store
from flows.job import Job
from flows.pipeline import pipeline
from flows.plan import plan_pipeline
from flows.run_record import RunRecord
from schemas.source import Choices
from schemas.training import Training
from tests.flows.own_sets import Array, draw

NAMES = ("beech", "birch", "oak")
"""Classes of `make_folder`, in label order."""
TRAINING = Training(epochs=1)


def write_pictures(folder: Path, images: Array, labels: Array, names: Sequence[str]) -> list[str]:
    """Write images as PNGs, `CLASS/NUMBER.png`. Returns: their names below the folder, in the order of the images."""
    files = [f"{names[label]}/{at:05}.png" for at, label in enumerate(labels.tolist())]
    for name, image in zip(files, images, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return files


def make_folder(folder: Path, seed: int = 1, *, test: bool = False) -> Path:
    """Write 60 pictures of three classes; with `test`, into `train/`, and 30 others into `test/`."""
    write_pictures(folder / "train" if test else folder, *draw(seed, 60), NAMES)
    if test:
        write_pictures(folder / "test", *draw(seed + 1000, 30), NAMES)
    return folder


def run_place(place: Path, training: Training = TRAINING, **choices: object) -> RunRecord:
    """Run the pipeline over a place; mypy sees through four decorators only so far."""
    record: RunRecord = pipeline(str(place), training, pack=Choices.model_validate(choices))
    return record


def plan_place(home: Path, place: Path, training: Training = TRAINING, **choices: object) -> dict[str, PlannedStage]:
    """Plan the same. Returns: its stages by what they make; those of the whole place by their own names."""
    job = Job(dataset=str(place), training=training, pack=Choices.model_validate(choices))
    rows = plan_pipeline(Store(home, create=False), job).stages
    return {f"{row.stage} {row.name}" if row.name in {"train", "test"} else row.stage: row for row in rows}


def computed(record: RunRecord) -> list[str]:
    """Name what a run computed."""
    return [
        f"{row.stage} {row.name}" if row.name in {"train", "test"} else row.stage
        for row in record.stages
        if not row.cached
    ]


def labels_by_image(images: Array, labels: Array) -> dict[bytes, int]:
    """Return the label of each image, by its pixels."""
    return {image.tobytes(): int(label) for image, label in zip(np.ascontiguousarray(images), labels, strict=True)}
