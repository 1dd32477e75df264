"""A finished run on the disk, as the lower floors leave one."""

from __future__ import annotations

from pathlib import Path

from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.held_out import HeldOut
from schemas.results import Caveat, ClassMetrics, Metrics, SplitMetrics
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.archive.making import make

RUN = "0123456789ab"


def record_run(
    home: Path, *, state: str = "completed", warnings: tuple[str, ...] = (), caveats: tuple[Caveat, ...] = ()
) -> RunRecord:
    """Write the artifacts of a run that a summary reads, and the run's record."""
    store, done = Store(home), state == "completed"
    split = SplitMetrics(
        samples=1500,
        accuracy=0.99,
        loss=0.0468,
        classes=tuple(ClassMetrics(name=str(n), support=1, precision=1, recall=1, f1=1) for n in range(10)),
        confusion=(),
        halves=(1.0, 1.0),
        first_labels=(5, 0, 4),
        first_predictions=(5, 0, 9),
    )
    metrics = Metrics(train=split, test=split.model_copy(update={"samples": 297, "accuracy": 0.9, "loss": 0.133}))
    table = make(store, "parse", "train", summary={"rows": 1500, "shape": [8, 8]})
    model = make(store, "train", inputs={"table": table}, files={"model.keras": b"weights"})
    scores = make(
        store, "evaluate", inputs={"model": model}, files={"metrics.json": metrics.model_dump_json().encode()}
    )
    rows = [
        stage_record(ref, cached=ref is table).model_copy(update={"path": str(store.folder(ref.stage, ref.version))})
        for ref in (table, model, scores)
    ]
    record = write_run(
        store, RUN, rows, state=state, dataset="digits", accuracy=0.9, warnings=warnings, caveats=caveats
    ).model_copy(
        update={
            "held_out": HeldOut(way="stratified", rows=150, of=1500) if done else None,
            "model": f"{rows[1].path}/model.keras" if done else None,
        }
    )
    (store.runs / f"{RUN}.json").write_text(record.model_dump_json())
    return record
