"""Records of runs, as runs leave them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from artifacts.ref import Ref
from artifacts.run_record import StageRecord
from artifacts.store.disk import disk
from artifacts.store.files import write_atomically
from artifacts.store.store import Store
from flows.dag import STAGES
from flows.run_record import RunRecord, Score
from schemas.results import Caveat, wilson_interval
from schemas.training import Training

CALIBRATION = "probabilities are 0.7 points off on average (ECE)"

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def stage_record(ref: Ref, *, cached: bool = False, reason: str = "") -> StageRecord:
    """The row of an artifact; its path is one that the store has left since."""
    return StageRecord(
        stage=ref.stage,
        name=ref.name,
        version=ref.version,
        cached=cached,
        seconds=1.5,
        bytes=1000,
        path=f"/elsewhere/{ref.stage}/{ref.version}",
        reason=reason,
    )


def write_run(
    store: Store,
    run: str,
    stages: Sequence[StageRecord] = (),
    *,
    minute: int = 0,
    sequence: int = 0,
    state: str = "completed",
    dataset: str = "mnist",
    dataset_id: str = "",
    accuracy: float = 0.9606,
    training: Training | None = None,
    warnings: tuple[str, ...] = (),
    caveats: tuple[Caveat, ...] = (),
) -> RunRecord:
    """Write the record of a run that started `minute` minutes after the first."""
    training = training or Training()
    record = RunRecord.model_validate(
        {
            "id": run,
            "sequence": sequence,
            "dataset": dataset,
            "dataset_id": dataset_id,
            "profile": training.profile,
            "seed": training.seed,
            "state": state,
            "started": (FIRST + timedelta(minutes=minute)).isoformat(timespec="seconds"),
            "seconds": 30.0,
            "stages": tuple(stages),
            "metrics": {
                "train": Score(accuracy=0.99, loss=0.0468),
                "test": Score(
                    accuracy=accuracy, loss=0.133, interval=wilson_interval(accuracy, 10_000), calibration=CALIBRATION
                ),
            }
            if state == "completed"
            else {},
            "caveats": caveats,
            "report": "/elsewhere/report.html" if state == "completed" else None,
            "model": "/elsewhere/model.keras" if state == "completed" else None,
            "dashboard": f"http://127.0.0.1:4200/runs/flow-run/{run}",
            "flow_run": run,
            "training": training.model_dump(mode="json"),
            "warnings": warnings,
            "error": "it broke" if state == "failed" else None,
        }
    )
    with disk(store.runs):
        write_atomically(store.runs / f"{run}.json", record.model_dump_json(indent=2).encode())
    return record


def write_long_history(store: Store, runs: int = 1000) -> None:
    """Write as many runs of 20 stages each, all of different versions, as a year of work leaves them."""
    for number in range(runs):
        stages = tuple(
            StageRecord(
                stage=STAGES[place % len(STAGES)],
                name="train-images-idx3-ubyte.gz",
                version=f"{number:08x}{place:08x}",
                cached=bool(place % 3),
                seconds=0.0123,
                bytes=9_912_422,
                path=f"/srv/experiments/digits/.idxflow/artifacts/download/{number:08x}{place:08x}",
            )
            for place in range(20)
        )
        write_run(store, f"{number * 7919:012x}", stages, minute=number)
