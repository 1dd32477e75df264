"""The runs of `idxflow up`: labelled, and ended in a real server's books."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.states import Pending, Running

from artifacts.store.holds import Hold
from idxflow.deploying.runner import NamingRunner
from idxflow.deploying.runs import GIVEN_BACK, LOST, STOPPED, WORKER_LABEL, TakenRuns

pytestmark = pytest.mark.usefixtures("prefect_server")


@flow
def nothing() -> None:
    """Do nothing."""


class Books:
    """A deployment and its runs."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.client = client
        self.deployment = client.create_deployment(client.create_flow(nothing), "here")

    def run(self, state: State[None], worker: str) -> UUID:
        """Put down a run that a worker has taken."""
        run = self.client.create_flow_run_from_deployment(self.deployment, labels={WORKER_LABEL: worker})
        self.client.set_flow_run_state(run.id, state, force=True)
        return run.id

    def taken(self, home: Path) -> TakenRuns:
        """Return those of the worker that is called mine."""
        return TakenRuns(self.client, [self.deployment], "mine", home)

    def told(self, run: UUID) -> tuple[str | None, str | None]:
        """Return name and message of a run's state."""
        state = self.client.read_flow_run(run).state
        assert state is not None
        return state.name, state.message


@pytest.fixture
def books(prefect_server: None) -> Iterator[Books]:
    """A deployment without runs."""
    with get_client(sync_client=True) as client:
        books = Books(client)
        yield books
        client.delete_deployment(books.deployment)


def test_only_the_dead_of_this_worker_are_buried(books: Books, home: Path) -> None:
    """Crashed is what this worker took and no process runs; not another worker's, and not what is alive."""
    dead, waiting = books.run(Running(), "mine"), books.run(Pending(), "mine")
    alive, other = books.run(Running(), "mine"), books.run(Running(), "theirs")
    with Hold(home / "holds", alive.hex[-12:]):
        assert books.taken(home).crash_lost() == 2
    assert [books.told(run) for run in (dead, waiting)] == [("Crashed", LOST)] * 2
    assert [books.told(run)[0] for run in (alive, other)] == ["Running", "Running"]


def test_what_outlived_its_worker_is_left_alone(books: Books, home: Path) -> None:
    """A run that was alive when this worker came is neither asked to end, nor waited for, nor called Crashed."""
    outlived = books.run(Running(), "mine")
    taken = books.taken(home)
    with Hold(home / "holds", outlived.hex[-12:]):
        assert taken.crash_lost() == 0
        own = books.run(Running(), "mine")
        assert taken.end(threading.Event(), seconds=0) == 1
        taken.settle()
    assert books.told(own) == ("Crashed", STOPPED)
    assert books.told(outlived)[0] == "Running"


def test_runs_are_asked_to_end_and_waited_for_so_long(books: Books, home: Path) -> None:
    """Without anybody who cancels them they stay Cancelling; the wait ends in time, or at once where that is wanted."""
    runs = [books.run(Running(), "mine") for _ in range(2)]
    taken = books.taken(home)
    assert taken.end(threading.Event(), seconds=0.3) == 2
    assert [books.told(run) for run in runs] == [("Cancelling", STOPPED)] * 2
    hurry = threading.Event()
    hurry.set()
    assert taken.end(hurry, seconds=60) == 2


def test_what_nobody_asked_to_end_is_given_back(books: Books, home: Path) -> None:
    """After the worker what was asked to end is Crashed; what was taken in the last moment waits for the next one."""
    asked, taken = books.run(Running(), "mine"), books.taken(home)
    taken.end(threading.Event(), seconds=0)
    late, other = books.run(Pending(), "mine"), books.run(Pending(), "theirs")
    taken.settle()
    assert books.told(asked) == ("Crashed", STOPPED)
    assert books.told(late) == ("Scheduled", GIVEN_BACK)
    assert books.told(other)[0] == "Pending"


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
