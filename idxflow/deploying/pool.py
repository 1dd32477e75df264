"""
The work pool: what its workers start is fixed, and a run names no command, folder or variable of its own.

By Prefect's own template each run may name the command that a worker runs as its user. By that of pool.json the command
is Prefect's, in the worker's folder, and the one job variable is `env`; of that, only names which neither Python nor
the loader of programs knows: prefect.yaml's, and `MIRROR_...` for `${NAME}` in a mirror's address. The server refuses
all else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

POOL_FILE = Path(__file__).with_name("pool.json")


def base_job_template() -> dict[str, Any]:
    """Return the pool's template, in Prefect's own words."""
    template: dict[str, Any] = json.loads(POOL_FILE.read_text("utf-8"))
    return template


def make_pool(client: SyncPrefectClient, name: str) -> bool:
    """
    Make the process work pool, unless it is there; one that has Prefect's own template gets ours.

    Returns: whether it was made.
    """
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template, prefects = base_job_template(), ProcessWorker.get_default_base_job_template()
    try:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        there = client.read_work_pool(name).base_job_template
        if _variables(there) in (set(), _variables(prefects), _variables(template)):
            client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
        return False
    return True


def _variables(template: dict[str, Any]) -> set[str]:
    return set(template.get("variables", {}).get("properties", {}))
