"""The runner of `idxflow up --serve`, on a real server."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from idxflow.deploying.runner import NamingRunner
from idxflow.deploying.runs import WORKER_LABEL

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow
def nothing() -> None:
    """Do nothing."""


def test_who_takes_a_run_puts_its_name_on_it() -> None:
    """Of two runners that ask for a run, one takes it, and its name is the one that the run bears."""

    async def take(run: UUID, *names: str) -> list[bool]:
        taken = []
        for name in names:
            async with NamingRunner(name=name) as runner, get_client() as client:
                taken.append(await runner._propose_pending_state(await client.read_flow_run(run)))
        return taken

    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(nothing), "here")
        run = client.create_flow_run_from_deployment(deployment).id
        assert asyncio.run(take(run, "mine", "theirs")) == [True, False]
        assert client.read_flow_run(run).labels[WORKER_LABEL] == "mine"
        client.delete_deployment(deployment)
