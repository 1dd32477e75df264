"""Small data sets of one's own: a folder with a description and IDX files, and what a run made of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.engine.plan import PlannedStage
from artifacts.store.store import Store
from flows.job import Job
from flows.parts import rows_of
from flows.pipeline import pipeline
from flows.plan import plan_pipeline
from flows.run_record import RunRecord
from schemas.image_table import ImageTable
from schemas.training import Training
from tests.tasks.idx_bytes import idx_bytes

SIDE = 6
TRAINING = Training(epochs=1)
Array = npt.NDArray[Any]


def draw(seed: int, rows: int, classes: int = 3) -> tuple[Array, Array]:
    """Draw uint8 images (rows, 6, 6), which tell their class by where they are bright, and uint8 labels (rows,)."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(rows) % classes).astype(np.uint8)
    images = random.integers(0, 60, (rows, SIDE, SIDE), np.uint8)
    images[np.arange(rows), labels] += 150
    return images, labels


def describe(
    shape: tuple[int, ...],
    classes: Iterable[str],
    *,
    mirrors: tuple[str, ...] = (".",),
    shards: tuple[str, ...] = ("train",),
    more: str = "",
) -> str:
    """Describe a set whose files are `NAME-images.gz` and `NAME-labels.gz`, of each train shard and of `test`."""
    lines = [
        'title = "Leaves"',
        'source = "drawn by a test"',
        f"shape = {list(shape)}",
        f"classes = {json.dumps(list(classes))}",
        f"mirrors = {json.dumps(mirrors)}",
        more,
    ]
    for split, name in (*(("train", name) for name in shards), ("test", "test")):
        lines += [f"[[{split}.shards]]", *(f'{kind}.name = "{name}-{kind}.gz"' for kind in ("images", "labels"))]
    return "\n".join(lines)


@dataclass(frozen=True)
class OwnSet:
    """A set in a folder: `leaves.toml` beside `files/`, which has `train-images.gz` and so on."""

    folder: Path

    @property
    def toml(self) -> str:
        """The path of the description."""
        return str(self.folder / "leaves.toml")

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.folder / "files" / name

    def describe(self, *, mirrors: tuple[str, ...] = ("files/",), **more: Any) -> None:
        """Write the description."""
        text = describe((SIDE, SIDE), ("oak", "beech", "birch"), mirrors=mirrors, **more)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "leaves.toml").write_text(text)

    def write(self, name: str, seed: int, rows: int) -> None:
        """Write a pair of files with what `draw` gives."""
        images, labels = draw(seed, rows)
        self.put(f"{name}-images.gz", gzip.compress(idx_bytes(images), mtime=0))
        self.put(f"{name}-labels.gz", gzip.compress(idx_bytes(labels), mtime=0))

    def put(self, name: str, content: bytes) -> None:
        """Write one file."""
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        self.file(name).write_bytes(content)

    def contents(self, *shards: str) -> tuple[Array, Array]:
        """Read its images and labels back, from the files as they lie there."""
        pairs = [
            (
                np.frombuffer(gzip.decompress(self.file(f"{name}-images.gz").read_bytes()), np.uint8, offset=16),
                np.frombuffer(gzip.decompress(self.file(f"{name}-labels.gz").read_bytes()), np.uint8, offset=8),
            )
            for name in shards
        ]
        return np.concatenate([images for images, _ in pairs]).reshape(-1, SIDE * SIDE), np.concatenate(
            [labels for _, labels in pairs]
        )


def make_set(folder: Path, seed: int, **description: Any) -> OwnSet:
    """Make a set of 60 train and 30 test images."""
    own = OwnSet(folder)
    own.describe(**description)
    own.write("train", seed, 60)
    own.write("test", seed + 1000, 30)
    return own


def run(own: OwnSet, *mirrors: str, **parameters: Any) -> RunRecord:
    """Run the pipeline over a set; mypy sees through four decorators only so far."""
    record: RunRecord = pipeline(own.toml, TRAINING, mirrors, **parameters)
    return record


def plan(home: Path, own: OwnSet, *mirrors: str) -> dict[str, PlannedStage]:
    """Plan the same. Returns: its stages by what they make."""
    planned = plan_pipeline(Store(home, create=False), Job(dataset=own.toml, training=TRAINING, mirrors=mirrors))
    return {f"{row.stage} {row.name}".strip(): row for row in planned.stages}


def table_of(home: Path, record: RunRecord, split: str) -> tuple[Array, Array]:
    """Read the images and labels that a run parsed, of all parts of a split."""
    folders = [Store(home).folder("parse", row.version) for row in rows_of(Store(home), record.stages, "parse", split)]
    batch = ImageTable(*(folder / "table.parquet" for folder in folders)).read()
    return batch.image, batch.label


def assert_own(home: Path, record: RunRecord, own: OwnSet, *shards: str) -> None:
    """What the run parsed is what lies in the files of the set."""
    for split, names in (("train", shards or ("train",)), ("test", ("test",))):
        for found, expected in zip(table_of(home, record, split), own.contents(*names), strict=True):
            assert np.array_equal(found, expected)


def computed(record: RunRecord) -> list[str]:
    """Name what a run computed."""
    return [f"{row.stage} {row.name}".strip() for row in record.stages if not row.cached]
