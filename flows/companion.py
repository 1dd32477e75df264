"""
The process beside a run of the command: it finds out what the run will import, and trains if anything is to be trained.

`python -m flows.companion DESCRIPTOR` is started by `artifacts.engine.companion`. It is told the home folder, the job,
and whether to let libraries warn; it says what the run itself should import, which is all but TensorFlow.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from pathlib import Path

from artifacts.engine.companion import Wire, serve
from artifacts.engine.plan import Plan
from flows.ahead import imports_of, only_noted, plan
from flows.dag import GRAPH
from flows.garbage import lasting
from flows.job import Job


def divide(found: Plan) -> tuple[list[str], list[str]]:
    """
    Divide what will be imported.

    Returns: modules for the run's process, and those for this one: of the stages that it does.
    """
    dear = {stage.imports for stage in GRAPH.values() if stage.on_main_thread}
    names = list(imports_of(found))
    return [name for name in names if name not in dear], [name for name in names if name in dear]


def has_training(found: Plan) -> bool:
    """Tell whether a stage that this process does may have to be done."""
    dear = {name for name, stage in GRAPH.items() if stage.on_main_thread}
    return any(row.stage in dear and row.state != "cached" for row in found.stages)


def work(wire: Wire, home: Path, job: Job) -> None:
    """Plan, say what to import, import, and serve as long as there is anything to wait for."""
    found = None
    with only_noted():
        found = plan(home, job)
    ours, theirs = divide(found) if found else ([], [])
    wire.send(ours)
    if found is None or not has_training(found):
        return
    with only_noted(), lasting():
        for module in theirs:
            importlib.import_module(module)
    serve(wire)


def main() -> None:
    """Do the work. The only argument is the number of a file descriptor."""
    wire = Wire(int(sys.argv[1]))
    if (told := wire.receive()) is None:
        return
    home, job, verbose = told
    if not verbose:
        warnings.simplefilter("ignore")
        logging.lastResort = None
    work(wire, home, job)


if __name__ == "__main__":
    main()
