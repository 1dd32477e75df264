"""
What takes seconds to import, imported while a run waits for its data, and for its server where it has to.

To import TensorFlow takes longer than all stages before training do, and a run that finds all its stages cached imports
nothing of this: so the plan is asked first, and only a stage that will run for certain counts. The command has a
process beside its own do that (`flows.companion`), which then also trains; other runs import in a thread.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from pathlib import Path

from artifacts.engine.companion import Companion
from artifacts.engine.plan import Plan, Planning
from artifacts.engine.workers import Executor
from artifacts.refresh import Refresh
from artifacts.store.store import Store
from flows.choose import find_dataset
from flows.dag import GRAPH, dag
from flows.garbage import lasting
from flows.job import Job
from schemas.secrets import conceal_all

logger = logging.getLogger("idxflow.ahead")
_COMPANIONS: dict[tuple[Path, Job], Companion] = {}
"""Those of this process: who starts a flow begins before the flow does, and the flow finds that begun."""


def imports_of(plan: Plan) -> Iterator[str]:
    """Yield, each once, the heaviest of what the stages import that will run whatever those before them find."""
    wanted = {row.stage for row in plan.stages if row.state == "will run"}
    yield from dict.fromkeys(stage.imports for name, stage in GRAPH.items() if name in wanted and stage.imports)


def companion_of(home: Path, job: Job) -> Companion | None:
    """Return the companion that was started for a job, if one was."""
    return _COMPANIONS.get((home.absolute().resolve(), job))


def start_companion(home: Path, job: Job, *, verbose: bool = False) -> None:
    """
    Start the process beside a run, if the run is one of threads: it plans, imports, and trains.

    Args:
        home:    the folder of all run-time data.
        verbose: let its libraries warn.
    """
    if job.workers.runner != "threads" or job.workers.count is not None:
        return
    place = home.absolute().resolve()
    _COMPANIONS[place, job] = Companion("flows.companion", (place, job, verbose))


def end_companion(home: Path, job: Job) -> None:
    """End the companion of a job, if there is one, and forget it."""
    if companion := _COMPANIONS.pop((home.absolute().resolve(), job), None):
        companion.close()


def begin_ahead(home: Path, job: Job, workers: Executor) -> None:
    """
    Get ready for what a run will compute: here, or on its workers, which are started only where something will be.

    Args: home: the folder of all run-time data.
    """
    if job.workers.runner == "threads":
        import_ahead(home, job)
        return

    def work() -> None:
        with only_noted():
            found = plan(home, job)
            if any(row.state == "will run" for row in found.stages):
                workers.start(tuple(imports_of(found)))

    _in_background(work)


def import_ahead(home: Path, job: Job) -> threading.Thread:
    """
    Start to import what a run will need, once a process for the same job.

    A stage that imports the same waits for it, and so does the end of the process, which cannot leave a library half
    loaded. What goes wrong is put into the log and ends no run: where it matters a stage meets it again.

    Args:    home: the folder of all run-time data.
    Returns: the thread that does it.
    """
    return _begun(home.absolute().resolve(), job)


@cache  # who starts a flow begins before the flow does, and the flow finds that begun
def _begun(home: Path, job: Job) -> threading.Thread:
    def work() -> None:
        with only_noted():
            companion = companion_of(home, job)
            names = imports_of(plan(home, job)) if companion is None else companion.first() or ()
            if missing := [module for module in names if module not in sys.modules]:
                with lasting():
                    for module in missing:
                        importlib.import_module(module)

    return _in_background(work)


def plan(home: Path, job: Job) -> Plan:
    """Return what a run of a job would do; see `flows.plan`, which also says what it needs."""
    store = Store(home, create=False)
    planning = Planning(store, Refresh(job.refresh), job.dataset or "")
    with planning.walking():
        dag(find_dataset(store, job.dataset, job.mirrors, job.pack), job.training)
    return planning.plan


@contextmanager
def only_noted() -> Iterator[None]:
    """Put what goes wrong into the log."""
    try:
        yield
    except Exception as error:
        logger.info("Not imported ahead: %s: %s", type(error).__name__, conceal_all(str(error)))


def _in_background(work: Callable[[], None]) -> threading.Thread:
    context = copy_context()  # that of the flow run, if it has begun: the log's lines are its
    thread = threading.Thread(target=lambda: context.run(work), name="ahead")
    thread.start()
    return thread
