"""
What takes seconds to import, imported while a run waits for its server and its data.

To import TensorFlow takes longer than all stages before training do, and a run that finds all its stages cached imports
nothing of this: so the plan is asked first, and only a stage that will run for certain counts.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from artifacts.archive.plan import Plan, Planning
from artifacts.refresh import Refresh
from artifacts.store import Store
from flows.choose import find_dataset
from flows.dag import dag
from flows.garbage import lasting
from schemas.training import Training

IMPORTS = {
    "download": "requests",
    "parse": "pyarrow.parquet",
    "validate": "pandera.pandas",
    "train": "tasks.backend",
    "evaluate": "tasks.backend",
    "report": "tasks.figures",
}
"""The heaviest of what a stage imports inside its body, in the order of the graph."""
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
            with lasting():
                for module in imports_of(planning.plan):
                    importlib.import_module(module)
        except Exception as error:
            logger.info("Not imported ahead: %s: %s", type(error).__name__, error)

    thread = threading.Thread(target=work, name="ahead")
    thread.start()
    return thread
