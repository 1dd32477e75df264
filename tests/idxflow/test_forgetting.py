"""What a home folder's server deletes while it is idle: which runs, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.server import models as untyped
from prefect.server import schemas
from prefect.server.database import provide_database_interface
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, temporary_settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message

from artifacts.store.store import Store
from idxflow.server.forgetting import NOTHING_CHANGED, UNCHANGED, WhenIdle, forget_one
from idxflow.server.password import read_password
from tests.deployments.host import Host
from tests.processes import until

models: Any = untyped  # its decorators hide that they are coroutines
DONE_NOW = {"type": "COMPLETED", "name": "Completed"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[None]:
    """An empty database of a server, in this process."""
    with temporary_settings({PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{tmp_path}/prefect.db"}):
        yield


async def insert(flow: UUID, begun: int, *tags: str) -> UUID:
    """A run that began so many minutes after the others and has completed."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=begun)
    run = schemas.core.FlowRun(
        flow_id=flow, tags=list(tags), start_time=moment, state=schemas.states.Completed(timestamp=moment)
    )
    async with provide_database_interface().session_context(begin_transaction=True) as session:
        made = await models.flow_runs.create_flow_run(session, run)
        await models.logs.create_logs(
            session, [schemas.actions.LogCreate(name="a", level=20, message="b", timestamp=moment, flow_run_id=made.id)]
        )
        return UUID(str(made.id))


async def left() -> tuple[list[UUID], set[UUID | None]]:
    """The runs that are there, the oldest first, and the runs of which there are lines."""
    async with provide_database_interface().session_context() as session:
        runs = await models.flow_runs.read_flow_runs(session, sort=schemas.sorting.FlowRunSort.START_TIME_ASC)
        lines = await models.logs.read_logs(session, log_filter=None)
        return [run.id for run in runs], {line.flow_run_id for line in lines}


def test_of_runs_that_changed_nothing_the_newest_stay(database: None) -> None:
    """The oldest is deleted first, with its lines, until so many are left; a run that computed something never is."""

    async def scene() -> None:
        await provide_database_interface().create_db()
        async with provide_database_interface().session_context(begin_transaction=True) as session:
            flow = (await models.flows.create_flow(session, schemas.core.Flow(name="unchanged"))).id
        other = await insert(flow, 0)
        third, first, last, second = [await insert(flow, minute, NOTHING_CHANGED) for minute in (3, 1, 4, 2)]
        assert not await forget_one(keep=4)
        assert await forget_one(keep=3)
        assert await left() == ([other, second, third, last], {other, second, third, last})
        assert first not in (await left())[0]
        assert await forget_one(keep=2)
        assert not await forget_one(keep=2)
        assert await left() == ([other, third, last], {other, third, last})

    asyncio.run(scene())


class Idle:
    """An application whose requests wait until they are let go, and what is done while there are none."""

    def __init__(self, pieces: int, error: Exception | None = None, quiet: float = 0.01, pause: float = 0.05) -> None:
        self.left, self.done, self.error, self.moments = pieces, 0, error, list[float]()
        self.go, self.asked = asyncio.Event(), asyncio.Event()
        inner = Starlette(routes=[Route("/", self._answer)])
        self.app = WhenIdle(inner, self._work, quiet=quiet, pause=pause, again=0.05)

    async def _answer(self, _: Request) -> PlainTextResponse:
        self.asked.set()
        await self.go.wait()
        return PlainTextResponse("answered")

    async def _work(self) -> bool:
        self.done += 1
        self.moments.append(time.monotonic())
        if self.error:
            raise self.error
        self.left -= 1
        return self.left > 0

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Start it and end it as a server does."""
        messages, said = asyncio.Queue[Message](), asyncio.Queue[Message]()
        life = asyncio.create_task(self.app({"type": "lifespan", "asgi": {"version": "3.0"}}, messages.get, said.put))
        for kind in ("startup", "shutdown"):
            await messages.put({"type": f"lifespan.{kind}"})
            assert (await said.get())["type"] == f"lifespan.{kind}.complete"
            if kind == "startup":
                yield
        await life


async def reached(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def played(scene: Callable[[], Awaitable[None]]) -> None:
    """Play a scene in an event loop of its own."""

    async def play() -> None:
        await scene()

    asyncio.run(play())


def test_pieces_are_done_one_after_the_other_until_there_are_none() -> None:
    """After the last one it is looked again, but only after the pause; when the server ends it ends too."""

    async def scene() -> None:
        idle = Idle(3)
        async with idle.living():
            await reached(lambda: idle.done > 3)
        ended = idle.done
        await asyncio.sleep(0.1)
        assert idle.done == ended

    played(scene)


def test_nothing_is_done_while_a_request_is_answered() -> None:
    """However long it takes; and then it goes on."""

    async def scene() -> None:
        idle = Idle(10**6)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(idle.app), base_url="http://here") as client:
            request = asyncio.create_task(client.get("/"))
            await idle.asked.wait()
            async with idle.living():
                await asyncio.sleep(0.2)
                assert idle.done == 0
                idle.go.set()
                assert (await request).text == "answered"
                await reached(lambda: idle.done > 1)

    played(scene)


def test_a_while_has_to_pass_after_a_request() -> None:
    """Whoever asks has more to ask: only some time after the last answer the server counts as idle."""

    async def scene() -> None:
        idle = Idle(10**6, quiet=0.4)
        idle.go.set()
        async with (
            httpx.AsyncClient(transport=httpx.ASGITransport(idle.app), base_url="http://here") as client,
            idle.living(),
        ):
            answered = list[float]()
            for _ in range(30):
                await client.get("/")
                answered.append(time.monotonic())
                await asyncio.sleep(0.02)
            await reached(lambda: idle.done > 0)
        for moment in idle.moments:
            assert moment - max((each for each in answered if each < moment), default=0) > 0.35

    played(scene)


def test_a_failure_is_followed_by_another_try() -> None:
    """What cannot be deleted now, as a run writes meanwhile, is deleted soon after."""

    async def scene() -> None:
        idle = Idle(10**6, OSError("database is locked"), pause=0.2)
        async with idle.living():
            await reached(lambda: idle.done > 0)
            begun = time.monotonic()
            await reached(lambda: idle.done > 2)
            assert time.monotonic() - begun > 0.05

    played(scene)


@pytest.mark.slow
def test_a_homes_server_forgets_by_itself(store: Store) -> None:
    """A real one, left alone, deletes what is beyond those that it keeps, with a password and without a word."""
    with Host(store.home) as host:
        api = host.start().api
        with SyncPrefectClient(api, auth_string=read_password(store.home)) as client:
            flow = str(client.create_flow_from_name("unchanged"))
            body = {"flow_id": flow, "state": DONE_NOW, "tags": [NOTHING_CHANGED]}
            for _ in range(UNCHANGED + 3):
                client.request("POST", "/flow_runs/", json=body)

            def left() -> bool:
                time.sleep(1)  # who asks without end keeps it from being idle
                return client.count_flow_runs() == UNCHANGED

            until(left, 120)
