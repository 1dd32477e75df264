"""A set of several shards a split, which grows: its runs without Prefect, to the report or to what comes before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifacts.engine.direct import DirectRun, recording_directly
from artifacts.engine.plan import PlannedStage
from artifacts.run_record import StageRecord
from artifacts.store.store import Store
from flows.dag import dag, prepare
from flows.identify import identify
from flows.job import Job
from flows.plan import plan_pipeline
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.training import Training
from tests.flows.own_sets import Array
from tests.tasks.idx_bytes import idx_bytes

TRAINING = Training(epochs=1)


@dataclass(frozen=True)
class PartedSet:
    """A set in a folder, its files raw IDX, and the home folder of its runs."""

    folder: Path
    classes: int
    shape: tuple[int, ...]

    @property
    def toml(self) -> Path:
        """Its description."""
        return self.folder / "set.toml"

    @property
    def store(self) -> Store:
        """Of its runs."""
        return Store(self.folder / "home")

    def write(self, name: str, images: Array, labels: Array) -> str:
        """Write a shard. Returns: its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}-images.idx").write_bytes(idx_bytes(images))
        (self.folder / f"{name}-labels.idx").write_bytes(idx_bytes(labels))
        return name

    def describe(self, train: Sequence[str], test: Sequence[str], more: str = "") -> None:
        """Say which shards each split has."""
        classes = [str(number) for number in range(self.classes)]
        lines = ['title = "Parts"', 'source = "a test"', f"shape = {list(self.shape)}", f"classes = {classes}"]
        lines += ['mirrors = ["."]', more]
        for split, names in (("train", train), ("test", test)):
            for name in names:
                lines += [f"[[{split}.shards]]", *(f'{each}.name = "{name}-{each}.idx"' for each in FILES)]
        self.toml.write_text("\n".join(lines))

    def data(self) -> Dataset:
        """Return the set as it is now."""
        return identify(self.store, load_dataset(str(self.toml)))

    def prepare(self) -> tuple[StageRecord, ...]:
        """Run all that comes before training. Returns: what each stage did."""
        return self._run(prepare).rows

    def run(self, training: Training = TRAINING) -> tuple[StageRecord, ...]:
        """Run everything. Returns: what each stage did."""
        return self._run(lambda data: dag(data, training)).rows

    def plan(self) -> dict[str, PlannedStage]:
        """Plan it. Returns: its stages by what they make."""
        planned = plan_pipeline(self.store, Job(dataset=str(self.toml), training=TRAINING))
        return {f"{row.stage} {row.name}".strip(): row for row in planned.stages}

    def _run(self, graph: Callable[[Dataset], Any]) -> DirectRun:
        data = self.data()
        with recording_directly(self.store, dataset=data.name, dataset_id=data.identity) as run:
            run.attempt(lambda: graph(data))
        return run


FILES = "images", "labels"


def computed(rows: Sequence[StageRecord]) -> list[str]:
    """Name what was computed."""
    return [f"{row.stage} {row.name}".strip() for row in rows if not row.cached]
