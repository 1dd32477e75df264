"""The pipeline's graph walked and computed in this process, stage after stage, without Prefect: a genuine store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from artifacts.current import CURRENT, Call
from artifacts.engine.execution import Done, Execution
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.run_record import StageRecord
from artifacts.stage import Stage
from artifacts.store.store import Store
from flows.dag import dag
from flows.run_record import RunRecord
from schemas.catalog import load_dataset
from schemas.events import Event
from schemas.results import Metrics
from schemas.training import Training
from tests.artifacts.archive.history import stage_record, write_run

RUN = "a" * 12
"""The run of `digits_home`."""
TRAINING = Training(epochs=2)
"""What it trained."""
ROWS = {"train": 1500, "test": 297}
"""How many images its splits have."""


class Walk:
    """A run that computes what is not stored as soon as it is asked for; see `artifacts.current.CurrentRun`."""

    def __init__(self, store: Store, run: str) -> None:
        self.store, self.id, self.flow_run, self.dataset = store, run, run, "digits"
        self.dataset_id = self.dataset
        self.refresh = Refresh()
        self.rows: list[StageRecord] = []

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Ref:
        """Take an artifact from the store, or make it."""
        done = self.perform(Execution(self.store, self.id, self.flow_run, stage, arguments))
        self.rows.append(stage_record(done.ref, cached=done.row.cached))
        return done.ref.at(self.store.folder(done.ref.stage, done.ref.version))

    def seems_settled(self, *_: Any) -> bool:
        """Have nothing."""
        return False

    def settled(self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str], event: Event) -> None:
        """Have nothing: each part is looked at."""

    def try_all(self, calls: Sequence[Call], *_: Any) -> list[Ref]:
        """Do what each call asks for; a failure is none that is an outcome."""
        return [self.submit(call.stage, call.stage.bind(**call.arguments)) for call in calls]

    def perform(self, execution: Execution) -> Done:
        """Do the work of a stage."""
        return execution()

    def publish(self, **facts: Any) -> None:
        """Keep nothing."""

    def require(self, *_: Ref) -> None:
        """Wait for nothing: what was submitted is computed."""

    def reference(self, result: Ref) -> Ref:
        """Return what was submitted."""
        return result


def walk(store: Store, run: str, training: Training = TRAINING, *, minute: int = 0) -> RunRecord:
    """Run the pipeline over the bundled digits. Returns: its record, which is written too; paths in it are stale."""
    current = Walk(store, run)
    token = CURRENT.set(current)
    try:
        scores = dag(load_dataset("digits"), training).scores
    finally:
        CURRENT.reset(token)
    metrics = Metrics.model_validate_json(scores.file("metrics.json").read_bytes())
    accuracy = metrics.test.accuracy
    return write_run(store, run, current.rows, minute=minute, dataset="digits", training=training, accuracy=accuracy)


@cache
def digits_home(base: Path) -> Path:
    """
    Return a home folder after one run over the digits; it is made once a session. Who changes it copies it first.

    Args: base: the session's folder for temporary files.
    """
    home = base / "digits-home"
    walk(Store(home), RUN)
    return home
