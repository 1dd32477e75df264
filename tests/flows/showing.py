"""A small flow over the real machinery, shown in the dashboard. Runs as a program too."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow

from artifacts.engine.recorder import recording
from artifacts.engine.threads import StageThreads
from artifacts.ref import Ref
from artifacts.stage import stage
from flows.dag import Outcome
from flows.dashboard import shown
from flows.job import Job
from flows.run_record import RunRecord, asked, found
from schemas.errors import BadIdx
from schemas.events import Progress, emit
from schemas.parameters import Summary
from schemas.results import Metrics
from schemas.training import EpochRow, History, Training
from tests.artifacts.counting import split_metrics

EPOCHS = 20


@stage("download", name="{name}")
def fetch(name: str, out: Path) -> Summary:
    """Make a file at once."""
    if name == "interrupt":
        raise KeyboardInterrupt
    if name == "bad":
        raise BadIdx(name, expected="good", found="*bad* | <b>worse</b>", way_out="Do not ask for it.")
    emit(Progress(name, "bytes", 4, 4))
    (out / "file").write_text(name)
    return Summary()


@stage("train", on_main_thread=True)
def learn(files: list[Ref], seconds: float, out: Path) -> Summary:
    """Take some time, epoch after epoch."""
    for epoch in range(EPOCHS):
        time.sleep(seconds / EPOCHS)
        emit(Progress("train", "epochs", epoch + 1, EPOCHS, {"loss": 1 / (epoch + 1), "accuracy": 0.5}))
    (out / "model.keras").write_text(" ".join(file.file().read_text() for file in files))
    rows = tuple(EpochRow(epoch=epoch, loss=1 / epoch, accuracy=0.5) for epoch in range(1, EPOCHS + 1))
    history = History(train_rows=9, validation_rows=1, updates=EPOCHS, kept=EPOCHS, epochs=rows)
    (out / "history.json").write_text(history.model_dump_json())
    return Summary()


@stage("evaluate")
def judge(model: Ref, accuracy: float, out: Path) -> Summary:
    """Say how good it is."""
    metrics = Metrics(train=split_metrics(0.99), test=split_metrics(accuracy))
    (out / "metrics.json").write_text(metrics.model_dump_json())
    return Summary()


@stage("report")
def explain(scores: Ref, out: Path) -> Summary:
    """Write a page, and one of its figures."""
    (out / "report.html").write_text("page")
    (out / "loss.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    return Summary()


@flow(name="showing", task_runner=StageThreads(max_workers=4))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
def showing(
    dataset: str = "two",
    training: Training = Training(),  # noqa: B008 - immutable
    refresh: tuple[str, ...] = (),
    alert_below: float | None = None,
    names: tuple[str, ...] = ("one", "other"),
    accuracy: float = 0.963,
    seconds: float = 0,
) -> RunRecord:
    """Fetch some files, learn, and say how good it is."""
    job = Job(dataset="digits", training=training)
    said = asked(job) | {"dataset": dataset, "refresh": refresh}
    with shown(training, alert_below), recording(**said) as run:
        run.publish(**found(run, run.attempt(partial(walk, names, accuracy, seconds)), job))
    return RunRecord.of(run.saved)


def walk(names: tuple[str, ...], accuracy: float, seconds: float) -> Outcome:
    """Walk the graph."""
    model = learn([fetch(name) for name in names], seconds)
    scores = judge(model, accuracy)
    return Outcome(scores, model, explain(scores))


def show(**parameters: Any) -> RunRecord:
    """Run the flow; mypy sees through three decorators only so far."""
    record: RunRecord = showing(**parameters)
    return record


if __name__ == "__main__":
    print(show(seconds=float(sys.argv[1])).model_dump_json())  # noqa: T201
