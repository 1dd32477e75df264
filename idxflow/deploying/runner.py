"""Prefect's runner, that of its `serve`, which puts its name on what it takes, as Prefect's workers do."""

from __future__ import annotations

from typing import Self

from prefect.client.schemas.objects import FlowRun
from prefect.runner import Runner
from prefect.states import Scheduled

from idxflow.deploying.runs import GIVEN_BACK, WORKER_LABEL


class NamingRunner(Runner):
    """
    A runner whose runs tell who has them, to whoever looks at the server.

    Several of them may serve the same deployments, each of another home folder: only the label tells whose a run is.
    """

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        # Prefect has no hook for it. What has become Pending is taken: a second runner is refused by the server.
        take = self._state_proposer.propose_pending

        async def take_and_name(flow_run: FlowRun) -> bool:
            if not await take(flow_run):
                return False
            try:
                await self._client.update_flow_run_labels(flow_run.id, {WORKER_LABEL: self.name})
            except Exception:
                # Without a name nobody would ever end it, and it would keep its place among those that may run.
                await self._client.set_flow_run_state(flow_run.id, Scheduled(message=GIVEN_BACK), force=True)
                return False
            return True

        self._state_proposer.propose_pending = take_and_name  # type: ignore[method-assign]
        return self
