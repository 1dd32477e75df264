"""The runs that `idxflow up` executes: cancelled before it ends, marked as crashed where an earlier one left them."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from artifacts.store.holds import is_alive

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

STOPPED = "`idxflow up` was stopped. Finished stages are stored; the next run continues from there."
LOST = "Its process and the one that started it have ended. Finished stages are stored; the next run continues."
GIVEN_BACK = "`idxflow up` was stopped before it began."
END_SECONDS = 20.0
"""How long runs may take to end after SIGTERM; then they get SIGKILL."""


WORKER_LABEL = "prefect.worker.name"
"""The label of a run with the name of its worker; Prefect's workers set it."""


class TakenRuns:
    """
    The runs of some deployments that a worker has begun: they are Pending, Running or Cancelling.

    Args:
        deployments: their ids.
        worker:      only runs with this name in their label; others on the server are another worker's.
        home:        the folder whose holds show which of them are alive.
    """

    def __init__(self, client: SyncPrefectClient, deployments: Collection[UUID], worker: str, home: Path) -> None:
        self._client, self._deployments, self._worker = client, list(deployments), worker
        self._holds = home / "holds"
        self._asked: set[UUID] = set()
        self._outlived: set[UUID] = set()

    def active(self) -> list[FlowRun]:
        """Ask the server for those that have not ended, except those that outlived an earlier worker."""
        from prefect.client.schemas.filters import FlowRunFilter

        wanted = {
            "deployment_id": {"any_": self._deployments},
            "state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}},
        }
        found = self._client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))
        taken = [run for run in found if run.labels.get(WORKER_LABEL) == self._worker]
        return [run for run in taken if run.id not in self._outlived]

    def crash_lost(self) -> int:
        """
        Mark as Crashed what a killed `idxflow up` left, where the run's own process has ended, too.

        Called before the first run. A run that outlived its worker has its hold, and ends by itself: this process
        cannot end it, and ignores it.

        Returns: how many have crashed.
        """
        left = self.active()
        self._outlived = {run.id for run in left if is_alive(self._holds, run.id.hex[-12:])}
        lost = [run for run in left if run.id not in self._outlived]
        for run in lost:
            self._crash(run, LOST)
        return len(lost)

    def end(self, hurry: threading.Event, seconds: float = END_SECONDS) -> int:
        """
        Cancel what has not ended, and wait for it.

        Args:    hurry: set to stop waiting.
        Returns: how many were cancelled.
        """
        from prefect.states import Cancelled, Cancelling

        for run in self.active():
            self._client.set_flow_run_state(run.id, Cancelling(message=STOPPED))
            self._asked.add(run.id)
        deadline = time.monotonic() + seconds
        while waiting := [run.id for run in self.active() if run.id in self._asked]:
            # Prefect says so only when a process of its own has looked for hooks of the flow, of which there are none:
            # 2 s, and on a busy machine more than anybody waits.
            for ended in filter(self._has_ended, waiting):
                self._client.set_flow_run_state(ended, Cancelled(message=STOPPED), force=True)
            if time.monotonic() > deadline or hurry.wait(0.2):
                break
        return len(self._asked)

    def _has_ended(self, run: UUID) -> bool:
        """Tell whether a run had begun its work, and let go of it since."""
        name = run.hex[-12:]
        return (self._holds / name).exists() and not is_alive(self._holds, name)

    def settle(self) -> None:
        """
        Settle runs that have not ended though their worker has.

        Cancelled ones are Crashed. Those that the worker began meanwhile are scheduled again, for the next worker.
        """
        from prefect.states import Scheduled

        for run in self.active():
            if run.id in self._asked:
                self._crash(run, STOPPED)
            else:
                self._client.set_flow_run_state(run.id, Scheduled(message=GIVEN_BACK), force=True)

    def _crash(self, run: FlowRun, message: str) -> None:
        from prefect.states import Crashed

        self._client.set_flow_run_state(run.id, Crashed(message=message), force=True)
