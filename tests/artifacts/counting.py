"""A small flow of two stages over the real machinery, which counts what it computes. Runs as a program too."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from artifacts.current import Outcome
from artifacts.recorded import recorded
from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.errors import BadIdx
from schemas.metrics import Metrics, SplitMetrics
from schemas.summary import Summary
from schemas.training import Training

SCORES = SplitMetrics(
    samples=1, accuracy=0.5, loss=1.0, classes=(), confusion=(), halves=(0, 1), first_labels=(), first_predictions=()
)


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
        raise BadIdx(name, expected="good", found="bad", way_out="Do not ask for it.")
    if name == "odd":
        logging.getLogger("idxflow.test").warning("odd: it is odd")
    (out / "file").write_text(name)
    return Summary()


@stage("train", on_main_thread=True)
def join(parts: list[Ref], training: Training, out: Path) -> Summary:
    """Join the files."""
    count("train")
    (out / "model.keras").write_text(f"{training.seed} " + " ".join(part.file().read_text() for part in parts))
    (out / "report.html").write_text("page")
    (out / "metrics.json").write_text(Metrics(train=SCORES, test=SCORES).model_dump_json())
    return Summary()


@flow(name="counting", task_runner=ThreadPoolTaskRunner(max_workers=4))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
@recorded
def counting(
    dataset: str = "two",
    training: Training = Training(),  # noqa: B008 - immutable
    refresh: tuple[str, ...] = (),
    names: tuple[str, ...] = ("one", "two"),
) -> Outcome:
    """Fetch some files and join them."""
    model = join([fetch(name) for name in names], training)
    return Outcome(model, model, model)


if __name__ == "__main__":
    wanted = tuple(sys.argv[2:]) or ("one", "two")
    print(counting(training=Training(seed=int(sys.argv[1])), names=wanted).model_dump_json())  # noqa: T201
