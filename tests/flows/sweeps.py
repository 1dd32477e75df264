"""Small sweeps over the bundled digits, and what they left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.run_record import RunRecord, StudyFacts
from flows.tuning import tuning
from schemas.training import Training
from schemas.tuning import Study, Sweep
from schemas.workers import Workers

THREADS = Workers(runner="threads", count=2)
SPACE: dict[str, str | tuple[Any, ...]] = {"learning_rate": "log:1e-3..1e-1", "hidden": "[20]|[30,20]"}
TRAINING = Training(epochs=2, hidden=(20,))


def tune(
    *,
    training: Training = TRAINING,
    workers: Workers = THREADS,
    retry: bool = False,
    space: dict[str, str | tuple[Any, ...]] = SPACE,
    **sweep: Any,
) -> RunRecord:
    """Run a sweep over the digits; mypy sees through the flow's decorator only so far."""
    asked = Sweep.model_validate({"space": space, "trials": 4, "round": 2, "seeds": 1, **sweep})
    record: RunRecord = tuning(dataset="digits", training=training, sweep=asked, workers=workers, retry=retry)
    return record


def facts(record: RunRecord) -> StudyFacts:
    """Return what the record says of the study."""
    assert record.study is not None
    return record.study


def study_of(record: RunRecord) -> Study:
    """Read the study of a run."""
    return Study.model_validate_json(Path(facts(record).page).with_name("study.json").read_bytes())


def trained(record: RunRecord) -> list[str]:
    """Return what was trained, as the run calls it, in the order of the run's stages."""
    return [f"{row.stage} {row.name}" for row in record.stages if not row.cached and row.stage in {"train", "begin"}]
