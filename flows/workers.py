"""Who computes the stages of a run: what a job says of it, as the executor that its recorder has."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from artifacts.engine.workers import Executor, Threads
from schemas.errors import UsageError
from schemas.workers import Workers
from tasks.fitting.memory import free_memory

if TYPE_CHECKING:
    from artifacts.engine.companion import Companion


def require_workers(workers: Workers) -> None:
    """See that what they need is installed. Raises: UsageError: it is not."""
    if workers.runner == "dask" and find_spec("distributed") is None:
        raise UsageError(
            "--runner dask",
            expected="distributed to be installed",
            found="no distributed",
            way_out="Install idxflow with its extra `tune`: `pip install 'idxflow[tune]'`, or `make install` in a "
            "checkout. Nothing has run.",
        )


def executor_of(workers: Workers, companion: Companion | None = None) -> Executor:
    """
    Return what carries out the executions of one run; nothing is started before the first one has to be computed.

    Args:   companion: what was started for the run before, if anything.
    Raises: UsageError: what it needs is not installed.
    """
    require_workers(workers)
    if workers.runner == "threads":
        return Threads(workers.count, companion)
    from artifacts.engine.cluster import Cluster

    return Cluster(free_memory, count=workers.count, address=workers.cluster)
