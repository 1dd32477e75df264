"""Make the real Parquet table of a small split, sound or broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.datasets import Checks, TableSpec
from schemas.image_table import Batch, ImageTable, TableMetadata, write_table
from schemas.results import Statistics
from tasks.validate import validate_table

CLASSES = ("circle", "square", "star")
SHAPE = (3, 5)
SAMPLES = 30

Break = Callable[[pa.Table], pa.Table]


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
    metadata = TableMetadata.model_validate(spec.model_dump(include=set(TableMetadata.model_fields)))
    cuts = [slice(start, start + group) for start in range(0, len(image), group)]
    write_table(path, metadata, (Batch(ids[cut], label[cut], image[cut]) for cut in cuts))
    return ImageTable(path)


def check(
    folder: Path,
    batch: Batch,
    spec: TableSpec | None = None,
    checks: Checks | None = None,
    train: Path | None = None,
    group: int = 7,
) -> Statistics:
    """Write a table of `batch` and validate it; its profile is left in `folder`."""
    spec = spec or spec_of()
    table = save(folder / "table.parquet", batch.image, batch.label, spec, batch.sample_id, group)
    return validate_table(table, spec, checks or Checks(), train, folder / "profile.parquet").statistics


def split(samples: int = SAMPLES, seed: int = 0, **columns: npt.NDArray[Any]) -> Batch:
    """Return a sound split, or one with other columns."""
    image, label = draw(samples, seed)
    return replace(Batch(np.arange(samples, dtype=np.uint32), label, image), **columns)


def drop(table: pa.Table) -> pa.Table:
    """Take the labels out."""
    return table.drop_columns("label")


def extend(table: pa.Table) -> pa.Table:
    """Add a column that nobody declared."""
    return table.append_column("extra", pa.array([0] * table.num_rows))


def retype(table: pa.Table) -> pa.Table:
    """Widen the labels."""
    return table.set_column(1, pa.field("label", pa.int64(), nullable=False), table["label"].cast(pa.int64()))


def loosen(table: pa.Table) -> pa.Table:
    """Allow null labels."""
    return table.set_column(1, pa.field("label", pa.uint16()), table["label"])


def narrow(table: pa.Table) -> pa.Table:
    """Take a pixel off every image."""
    cut = pa.array([value[:-1] for value in table["image"].to_pylist()], pa.binary(14))
    return table.set_column(2, pa.field("image", pa.binary(14), nullable=False), cut)


def reorder(table: pa.Table) -> pa.Table:
    """Exchange ids and labels."""
    return table.select(["label", "sample_id", "image"])


BREAKS: tuple[Break, ...] = (drop, extend, retype, loosen, narrow, reorder)
