"""Make the real Parquet table of a small split, sound or broken, and bind references to folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from schemas.datasets import TableSpec
from schemas.image_table import Batch, ImageTable, TableMetadata, write_table

CLASSES = ("circle", "square", "star")
SHAPE = (3, 5)


def bind(stage: str, folder: Path) -> Ref:
    """Return a reference to the files in `folder`."""
    return Ref(stage=stage, name="", version="0" * 16, digest="0" * 64, manifest="0" * 64).at(folder)


def draw(samples: int, seed: int = 0) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """Return different images, uint8 (samples, 15), and labels that take every class in turn, uint16."""
    image = np.random.default_rng(seed).integers(0, 256, (samples, SHAPE[0] * SHAPE[1]), np.uint8)
    return image, (np.arange(samples) % len(CLASSES)).astype(np.uint16)


def spec_of(split: Literal["train", "test"] = "train", **changes: Any) -> TableSpec:
    """Return what a split has to look like."""
    return TableSpec(**{"dataset": "shapes", "split": split, "shape": SHAPE, "classes": CLASSES, **changes})


def save(
    path: Path,
    image: npt.NDArray[np.uint8],
    label: npt.NDArray[np.uint16],
    spec: TableSpec | None = None,
    sample_id: npt.NDArray[np.uint32] | None = None,
    group: int = 7,
) -> ImageTable:
    """Write a table in row groups of `group` images and open it."""
    spec = spec or spec_of()
    ids = np.arange(len(image), dtype=np.uint32) if sample_id is None else sample_id
    metadata = TableMetadata(dataset=spec.dataset, split=spec.split, shape=spec.shape, classes=spec.classes)
    cuts = [slice(start, start + group) for start in range(0, len(image), group)]
    write_table(path, metadata, (Batch(ids[cut], label[cut], image[cut]) for cut in cuts))
    return ImageTable(path)
