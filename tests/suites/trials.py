"""A flow of a small data stage and trials that take it, on any runner. Runs as a program too."""

from __future__ import annotations

import os
import sys
from typing import Any

from prefect import flow

from artifacts.current import Call
from artifacts.engine.cluster import Cluster
from artifacts.engine.companion import Companion
from artifacts.engine.execution import Done
from artifacts.engine.recorder import Recorder, recording
from artifacts.engine.threads import StageThreads
from artifacts.engine.workers import Executor, Threads
from artifacts.run_record import Record
from schemas.errors import IdxflowError
from tests.processes import PROJECT
from tests.suites.stages import MEMORY, call_of, make, trial


def executor_of(runner: str) -> Executor:
    """Return a runner. Args: runner: threads, companion, dask, or the address of a scheduler."""
    if runner in {"threads", "companion"}:
        return Threads(companion=Companion("tests.suites.companion", None) if runner == "companion" else None)
    return Cluster(lambda: MEMORY, count=2) if runner == "dask" else Cluster(lambda: MEMORY, address=runner)


class Kept:
    """A runner that flows do not close."""

    def __init__(self, executor: Executor) -> None:
        self.start, self.carry_out = executor.start, executor.carry_out

    def close(self) -> None:
        """Keep it."""


@flow(name="trials", task_runner=StageThreads(max_workers=16))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
def trials(
    executor: Any, notes: str, hows: tuple[str, ...], name: str = "one", *, alike: bool = False
) -> tuple[Record, list[Done | IdxflowError]]:
    """Try out all that is asked for."""
    with recording(dataset="two", workers=executor) as run:
        outcomes = run.attempt(lambda: walk(run, notes, hows, name, alike=alike))
    return run.saved, outcomes


def walk(run: Recorder, notes: str, hows: tuple[str, ...], name: str, *, alike: bool) -> list[Done | IdxflowError]:
    """Make the table, and call the trials with it."""
    table = make(name)
    return run.try_all(
        [
            Call(trial, call_of(table, 0 if alike else number, how, notes), f"trial {number}")
            for number, how in enumerate(hows)
        ]
    )


def program(*arguments: str) -> list[str]:
    """Return what follows Python to run this as a program: the runner, the file of notes, what is to be tried."""
    return [
        "-W",
        "error",
        "-c",
        f"import sys; sys.path.insert(0, {str(PROJECT)!r}); from tests.suites.trials import main; main()",
        *arguments,
    ]


def main() -> None:
    """Run the flow under the handlers that a command has."""
    from idxflow.cli.interrupts import interruptible

    runner, notes, *hows = sys.argv[1:]
    try:
        with interruptible():
            trials(executor_of(runner), notes, tuple(hows))
    except KeyboardInterrupt as error:
        sys.stderr.write(f"{type(error).__name__}\n")
        sys.stderr.flush()
        os._exit(130)


if __name__ == "__main__":
    main()
