"""What the main job would do, without Prefect and without computing anything."""

from __future__ import annotations

from typing import Any

from artifacts.engine.plan import Plan, Planning
from artifacts.refresh import Refresh
from artifacts.store.store import Store
from flows.admit import Sizes, computed, estimate, headers_of, room_of
from flows.bundling import headers_of_bundles
from flows.choose import choose_dataset
from flows.dag import dag
from flows.gate import Gate, Wanted
from flows.job import Job
from flows.revalidate import ask_mirrors
from schemas.held_out import planned


def plan_pipeline(store: Store, job: Job) -> Plan:
    """
    Walk the graph as a run of this job would.

    Raises: UsageError: no such data set.
    """
    planning = Planning(store, Refresh(job.refresh), job.dataset or "")
    with planning.walking():
        data = choose_dataset(job.dataset, job.mirrors, job.pack)
        if job.revalidate:
            ask_mirrors(data)
        raw: dict[str, Any] = {}
        gate = Gate(store, Wanted(job.promote, job.alert_below)) if job.promote else None
        dag(data, job.training, sized=raw.update, judge=gate.judge if gate else None)
    found = planning.plan
    sizes = Sizes(data, headers_of_bundles(store, data) | headers_of(data, raw, planning))
    needs = estimate(sizes, job.training, computed(found), room_of(store.home).memory)
    held_out = planned(data.held_out, job.training.validation_fraction)
    return found.model_copy(update={"held_out": held_out, "needs": needs})
