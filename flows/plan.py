"""What the main job would do, without Prefect and without computing anything."""

from __future__ import annotations

from artifacts.archive.plan import Plan, Planning
from artifacts.store import Store
from flows.choose import choose_dataset
from flows.dag import dag
from schemas.training import Training


def plan_pipeline(
    store: Store, dataset: str | None, training: Training, mirrors: tuple[str, ...], refresh: tuple[str, ...]
) -> Plan:
    """
    Walk the graph as a run with these parameters would; see `flows.pipeline.pipeline` for them.

    Raises: UsageError: no such data set.
    """
    planning = Planning(store, set(refresh), dataset or "")
    with planning.walking():
        dag(choose_dataset(dataset, mirrors), training)
    return planning.plan
