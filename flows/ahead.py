"""
What takes seconds to import, imported while a run waits for its data, and for its server where it has to.

To import TensorFlow takes longer than all stages before training do, and a run that finds all its stages cached imports
nothing of this: so the plan is asked first, and only a stage that will run for certain counts.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import ParamSpec

from artifacts.archive.plan import Plan, Planning
from artifacts.engine.current import Outcome, current_run
from artifacts.engine.refresh import Refresh
from artifacts.store.store import Store
from flows.choose import find_dataset
from flows.dag import dag
from flows.garbage import lasting
from schemas.secrets import conceal_all
from schemas.training import Training

P = ParamSpec("P")
IMPORTS = {
    "download": "requests",
    "parse": "pyarrow.parquet",
    "validate": "schemas.tables",
    "train": "tasks.fitting.backend",
    "evaluate": "tasks.fitting.backend",
    "report": "tasks.explaining.figures",
}
"""The heaviest of what a stage imports inside its body, in the order of the graph."""
BEGUN = threading.Event()
"""Set by who imports ahead for a flow that has not begun, as the command line does; the flow that finds it takes it."""
logger = logging.getLogger("idxflow.ahead")


def imports_of(plan: Plan) -> Iterator[str]:
    """Yield, each once, what the stages import that will run whatever those before them find."""
    stages = {row.stage for row in plan.stages if row.state == "will run"}
    yield from dict.fromkeys(module for stage, module in IMPORTS.items() if stage in stages)


def import_ahead(
    home: Path, dataset: str | None, training: Training, mirrors: tuple[str, ...], refresh: tuple[str, ...]
) -> threading.Thread:
    """
    Start to import what a run with these parameters will need; see `flows.pipeline.pipeline` for them.

    A stage that imports the same waits for it, and so does the end of the process, which cannot leave a library half
    loaded. What goes wrong is put into the log and ends no run: where it matters a stage meets it again, and tells it.

    Args:    home: the folder of all run-time data.
    Returns: the thread that does it.
    """

    def work() -> None:
        try:
            store = Store(home, create=False)
            planning = Planning(store, Refresh(refresh), dataset or "")
            with planning.walking():
                dag(find_dataset(store, dataset, mirrors), training)
            if missing := [module for module in imports_of(planning.plan) if module not in sys.modules]:
                with lasting():
                    for module in missing:
                        importlib.import_module(module)
        except Exception as error:
            logger.info("Not imported ahead: %s: %s", type(error).__name__, conceal_all(str(error)))

    context = copy_context()  # that of the flow run, if it has begun: the log's lines are its
    thread = threading.Thread(target=lambda: context.run(work), name="ahead")
    thread.start()
    return thread


def prepared(body: Callable[P, Outcome]) -> Callable[P, Outcome]:
    """
    Import ahead for each run of a recorded body, wherever it runs, unless who started it has done so already.

    It stands below `artifacts.engine.recorded.recorded`. The body takes `dataset`, `training`, `mirrors` and `refresh`.
    """

    @functools.wraps(body)
    def run_body(*args: P.args, **kwargs: P.kwargs) -> Outcome:
        if BEGUN.is_set():
            BEGUN.clear()
        else:
            bound = inspect.signature(body).bind(*args, **kwargs)
            bound.apply_defaults()
            wanted = (bound.arguments[name] for name in ("dataset", "training", "mirrors", "refresh"))
            import_ahead(current_run().store.home, *wanted)
        return body(*args, **kwargs)

    return run_body
