"""Prefect's runner, that of its `serve`, which labels its runs with its name, as Prefect's workers do."""

from __future__ import annotations

from typing import Self

from prefect.client.schemas.objects import FlowRun
from prefect.runner import Runner
from prefect.states import Scheduled

from idxflow.deploying.runs import GIVEN_BACK, WORKER_LABEL


class NamingRunner(Runner):
    """
    A runner that labels its runs on the server with its name.

    Several may serve the same deployments, each of another home folder: only the label shows whose a run is.
    """

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        # Prefect has no hook for it. A Pending run is taken: the server refuses a second runner.
        take = self._state_proposer.propose_pending

        async def take_and_name(flow_run: FlowRun) -> bool:
            if not await take(flow_run):
                return False
            try:
                await self._client.update_flow_run_labels(flow_run.id, {WORKER_LABEL: self.name})
            except Exception:
                # Without the label no worker would ever end it, and it would keep its concurrency slot.
                await self._client.set_flow_run_state(flow_run.id, Scheduled(message=GIVEN_BACK), force=True)
                return False
            return True

        self._state_proposer.propose_pending = take_and_name  # type: ignore[method-assign]
        return self
