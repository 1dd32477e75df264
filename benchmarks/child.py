"""One stage of a data set in a process of its own, for its time and its memory. Started by `benchmarks.scale`."""

from __future__ import annotations

import os
import re
import sys
import time
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from schemas.events import Event, Progress, listening
from schemas.training import Training

LIBRARIES: dict[str, tuple[str, ...]] = {
    "parse": ("pyarrow.parquet",),
    "validate": ("pyarrow.parquet", "schemas.tables"),
    "normalize": ("pyarrow.parquet",),
    "train": ("pyarrow.parquet", "tasks.fitting.network"),
    "evaluate": ("pyarrow.parquet", "tasks.fitting.backend"),
    "report": ("pyarrow.parquet", "tasks.explaining.figures", "tasks.explaining.page"),
}
"""What a stage imports when it begins. Here that is before the clock runs: those seconds do not grow with the data."""


WITH = {"validate": ("profile", "validate")}
"""Stages that are measured together: of a set of several shards the first does a part of the other's work."""


class Job(BaseModel):
    """
    What to measure.

    Args:
        home:    the store, in which everything before the stage is there already.
        dataset: path of a description.
        cores:   how many to keep to; None for all.
    """

    model_config = ConfigDict(frozen=True)
    home: Path
    dataset: str
    stage: str
    cores: int | None
    training: Training


class Measured(BaseModel):
    """
    What a stage took, over all its files or splits.

    Args:
        whole:  seconds: inputs hashed, work done, files hashed, flushed, committed.
        own:    seconds of the work alone.
        peak:   bytes of memory at most, the interpreter and its libraries included.
        epochs: seconds of each epoch, without the first.
    """

    model_config = ConfigDict(frozen=True)
    whole: float
    own: float
    peak: int
    epochs: tuple[float, ...]


def peak_memory() -> int:
    """
    Return the most bytes that this process has had in memory so far.

    From /proc, because `ru_maxrss` begins, after a fork, with what the parent had.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def measure(job: Job) -> Measured:
    """Compute the stage, stored or not, and say what it took."""
    if job.cores:  # before any library counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    for name in LIBRARIES.get(job.stage, ()):
        import_module(name)
    from artifacts.store.store import Store
    from benchmarks.walk import Walk
    from flows.identify import identify
    from schemas.catalog import load_dataset

    ends = list[float]()

    def note(event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "epochs":
            ends.append(time.perf_counter())

    with listening(note):
        store = Store(job.home)
        data = identify(store, load_dataset(job.dataset))
        together = WITH.get(job.stage, (job.stage,))
        walk = Walk(store, job.stage, rebuild=together).through(data, job.training)
    epochs = tuple(end - start for start, end in pairwise(ends))
    whole, own = (sum(times[name] for name in together) for times in (walk.whole, walk.own))
    return Measured(whole=whole, own=own, peak=peak_memory(), epochs=epochs)


if __name__ == "__main__":
    sys.stdout.write(measure(Job.model_validate_json(sys.argv[1])).model_dump_json())
