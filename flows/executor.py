"""Who carries out the stages of a run, from what was asked for."""

from __future__ import annotations

from artifacts.engine.workers import Executor, Threads
from schemas.workers import Workers


def executor_of(workers: Workers) -> Executor:
    """
    Return what carries out stages; nothing is started yet.

    Raises: UsageError: Dask is not installed.
    """
    if workers.runner == "threads":
        return Threads(workers.count)
    from artifacts.engine.cluster import Cluster
    from tasks.fitting.memory import free_memory

    return Cluster(free_memory, count=workers.count, address=workers.cluster)
