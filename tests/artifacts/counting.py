"""A small flow of three stages over the real machinery, which counts what it computes. Runs as a program too."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow

from artifacts.engine.recorder import Recorder, recording
from artifacts.engine.threads import StageThreads
from artifacts.ref import Ref
from artifacts.stage import stage
from artifacts.store.files import write_atomically
from flows.dag import Outcome
from flows.job import Job
from flows.run_record import RunRecord, asked, found
from schemas.errors import BadIdx
from schemas.events import Progress, emit
from schemas.parameters import Summary
from schemas.results import Metrics, SplitMetrics
from schemas.training import EpochRow, History, Training
from tests.processes import until

SLOW = 3.0
"""Seconds that it takes to fetch what is slow."""
EPOCH = EpochRow(epoch=1, loss=1, accuracy=1)
MEETING = threading.Barrier(1)
"""Where runs of one process wait for each other before they warn, and after."""


def split_metrics(accuracy: float) -> SplitMetrics:
    """Metrics of one image."""
    none: dict[str, Any] = dict.fromkeys(("classes", "confusion", "first_labels", "first_predictions"), ())
    return SplitMetrics(samples=1, accuracy=accuracy, loss=0.25, halves=(0, 1), **none)


def count(what: str) -> None:
    """Note one computation beside the home folder, where it outlives the process."""
    with Path(os.environ["IDXFLOW_HOME"] + ".count").open("a") as file:
        file.write(f"{what}\n")


@stage("download", name="{name}")
def fetch(name: str, out: Path) -> Summary:
    """Make a file."""
    count(f"download {name}")
    time.sleep(float(os.environ.get("COUNTING_SLEEP", "0")))
    if name.startswith("bad"):
        if name.endswith("together"):
            MEETING.wait(60)
        if name.endswith("meanwhile"):
            until(lambda: len(Path(os.environ["IDXFLOW_HOME"] + ".count").read_text().splitlines()) > 1, 60)
        if name.endswith("late"):
            until(lambda: list(Path(os.environ["IDXFLOW_HOME"]).glob("runs/*.stages")), 60)
        raise BadIdx(name, expected="good", found="bad", way_out="Do not ask for it.")
    if name.startswith("foreign"):
        word = os.environ["COUNTING_SECRET"]
        try:
            word.encode("ascii")
        except UnicodeEncodeError as error:
            raise ValueError(f"no answer from http://alice:{word}@host/x.gz?token={word}", word) from error
    if name.startswith("odd"):
        MEETING.wait(60)
        logging.getLogger("idxflow.test").warning("%s: it is odd", name)
        MEETING.wait(60)
    if name.startswith("slow"):
        time.sleep(SLOW)
    if name.startswith("endless"):
        for done in range(1000):
            emit(Progress(name, "bytes", done, None))
            time.sleep(0.02)
    (out / "file").write_text(name)
    return Summary()


@stage("parse", name="{name}")
def copy(part: Ref, name: str, out: Path) -> Summary:
    """Copy a file."""
    count(f"parse {name}")
    (out / "file").write_text(part.file().read_text())
    return Summary()


@stage("train", on_main_thread=True)
def join(parts: list[Ref], training: Training, checkpoints: Path, out: Path) -> Summary:
    """Join the files, half of the work being kept first."""
    half = checkpoints / "half"
    count("train, going on" if half.exists() else "train")
    write_atomically(half, b"half", durable=False)
    if "JOIN_FAILS" in os.environ:
        raise BadIdx("half", expected="the other half", found="nothing", way_out="Run again.")
    (out / "model.keras").write_text(f"{training.seed} " + " ".join(part.file().read_text() for part in parts))
    (out / "report.html").write_text("page")
    metrics = Metrics(train=split_metrics(0.5), test=split_metrics(0.5), leaked=1)
    history = History(train_rows=9, validation_rows=1, findings=("They are odd",), updates=1, kept=1, epochs=(EPOCH,))
    (out / "history.json").write_text(history.model_dump_json())
    (out / "metrics.json").write_text(metrics.model_dump_json())
    return Summary()


@flow(name="counting", task_runner=StageThreads(max_workers=4))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
def counting(
    dataset: str = "two",
    training: Training = Training(),  # noqa: B008 - immutable
    refresh: tuple[str, ...] = (),
    names: tuple[str, ...] = ("one", "two"),
    *,
    copied: bool = False,
) -> RunRecord:
    """Fetch some files and join them, or copies of them."""
    job = Job(dataset="digits", training=training)
    with recording(**asked(job) | {"dataset": dataset, "refresh": refresh}) as run:
        run.publish(**found(run, run.attempt(partial(gather, run, training, names, copied=copied)), job))
    return RunRecord.of(run.saved)


def gather(run: Recorder, training: Training, names: tuple[str, ...], *, copied: bool) -> Outcome:
    """Walk the graph."""
    parts = {name: fetch(name) for name in names}
    run.require(*parts.values())
    model = join([copy(part, name) if copied else part for name, part in parts.items()], training)
    return Outcome(model, model, model)


if __name__ == "__main__":
    wanted = tuple(sys.argv[2:]) or ("one", "two")
    print(counting(training=Training(seed=int(sys.argv[1])), names=wanted).model_dump_json())  # noqa: T201
