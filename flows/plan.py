"""What the main job would do, without Prefect and without computing anything."""

from __future__ import annotations

from typing import Any

from artifacts.archive.plan import Plan, Planning
from artifacts.engine.refresh import Refresh
from artifacts.store.store import Store
from flows.admit import Sizes, computed, estimate, headers_of, room_of
from flows.choose import choose_dataset
from flows.dag import dag
from flows.revalidate import ask_mirrors
from schemas.held_out import planned
from schemas.training import Training


def plan_pipeline(
    store: Store,
    dataset: str | None,
    training: Training,
    mirrors: tuple[str, ...],
    *,
    refresh: tuple[str, ...] = (),
    revalidate: bool = False,
) -> Plan:
    """
    Walk the graph as a run with these parameters would; see `flows.pipeline.pipeline` for them.

    Raises: UsageError: no such data set.
    """
    planning = Planning(store, Refresh(refresh), dataset or "")
    with planning.walking():
        data = choose_dataset(dataset, mirrors)
        if revalidate:
            ask_mirrors(data)
        raw: dict[str, Any] = {}
        dag(data, training, sized=raw.update)
    found = planning.plan
    sizes = Sizes(data, headers_of(data, raw, planning))
    needs = estimate(sizes, training, computed(found), room_of(store.home).memory)
    held_out = planned(data.held_out, training.validation_fraction)
    return found.model_copy(update={"held_out": held_out, "needs": needs})
