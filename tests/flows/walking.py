"""The pipeline's graph walked and computed in this process, stage after stage, without Prefect: a genuine store."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from artifacts.engine.current import CURRENT
from artifacts.engine.refresh import Refresh
from artifacts.ref import Ref
from artifacts.run_record import RunRecord, StageRecord
from artifacts.stage import Stage
from artifacts.store.store import Store
from flows.dag import dag
from schemas.catalog import load_dataset
from schemas.metrics import Metrics
from schemas.training import Training
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import settle

RUN = "a" * 12
"""The run of `digits_home`."""
TRAINING = Training(epochs=2)
"""What it trained."""
ROWS = {"train": 1500, "test": 297}
"""How many images its splits have."""


class Walk:
    """A run that computes what is not stored as soon as it is asked for; see `artifacts.engine.current.CurrentRun`."""

    def __init__(self, store: Store, run: str) -> None:
        self.store, self.id, self.flow_run, self.dataset = store, run, run, "digits"
        self.dataset_id = self.dataset
        self.refresh = Refresh()
        self.rows: list[StageRecord] = []

    def submit(self, stage: Stage, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """Take an artifact from the store, or make it."""
        bound = stage.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found = self.store.inspect(stage.stage, stage.parts(bound.arguments).version)
        if found:
            ref = found[0].ref
        else:
            settle(self.store, ref := stage.compute(self, bound.arguments))
        self.rows.append(stage_record(ref, cached=found is not None))
        return ref

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
