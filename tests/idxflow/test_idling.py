"""A server that nobody uses ends by itself, and none that somebody uses."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from artifacts.store.flock import locked
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from idxflow.server.at_work import UP
from idxflow.server.environment import prepare_environment
from idxflow.server.idling import UntilUnused, leave, words
from idxflow.server.local import Server, api_answers, find_server, start_server, state_file, stop_server
from tests.artifacts.archive.history import write_run
from tests.processes import until

LONG = 60.0


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that takes as long as its scope says."""
    await asyncio.sleep(scope["seconds"])


async def receive_nothing() -> Message:
    """Receives nothing that matters."""
    return {}


async def send_nothing(message: Message) -> None:
    """Sends nothing."""


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_whoever_speaks_to_it_uses_it(kind: str) -> None:
    """While a request or a socket is open nobody tries to end it; after that, once its time is over, somebody does."""
    tried: list[float] = []

    def end() -> bool:
        tried.append(time.monotonic())
        return len(tried) == 2

    async def scene() -> float:
        app = UntilUnused(nothing, 0.4, end)
        living = asyncio.create_task(app({"type": "lifespan", "seconds": LONG}, receive_nothing, send_nothing))
        await app({"type": kind, "seconds": 0.9}, receive_nothing, send_nothing)
        assert not tried
        closed = time.monotonic()
        while len(tried) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.6)
        living.cancel()
        return closed

    closed = asyncio.run(asyncio.wait_for(scene(), 20))
    assert len(tried) == 2, "it was tried again after it had ended"
    assert tried[0] - closed >= 0.4
    assert tried[1] - tried[0] >= 0.4


@pytest.fixture
def own(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """This process, written down as the server of a store's home folder, which nobody has used for long."""
    server = Server(home=str(store.home), pid=os.getpid(), port=1, started="", born="", log="")
    monkeypatch.setattr("idxflow.server.local.find_server", lambda _: server)
    state_file(store.home).write_text(server.model_dump_json())
    os.utime(state_file(store.home), (1, 1))
    yield server


def test_an_unused_one_ends(store: Store, own: Server) -> None:
    """It ends once, and is written down no longer."""
    ended: list[int] = []
    assert leave(store.home, LONG, lambda: ended.append(1))
    assert ended == [1]
    assert not state_file(store.home).exists()


@pytest.mark.parametrize("why", ["a run", "up", "found", "starting"])
def test_one_that_is_in_use_stays(why: str, store: Store, own: Server) -> None:
    """With a run at work, `idxflow up`, a run that has just found it, or one that is looking."""
    held = []
    if why == "a run":
        record = write_run(store, "c" * 12, state="running").model_copy(update={"dashboard": f"{own.address}/runs/x"})
        (store.runs / f"{record.id}.json").write_text(record.model_dump_json())
        held.append(Hold(store.holds, "c" * 12))
    if why == "found":
        os.utime(state_file(store.home))
    names = {"up": UP, "starting": "server.lock"}
    with locked(store.home / names.get(why, "other")):
        assert not leave(store.home, LONG, lambda: pytest.fail("it was ended"))
    assert state_file(store.home).exists()
    for hold in held:
        hold.release()


def test_one_of_a_deleted_folder_ends(tmp_path: Path) -> None:
    """Where there is no home folder any more nobody works, and no lock says who does."""
    ended: list[bool] = []
    assert leave(tmp_path / "gone", 0.0, lambda: ended.append(True))
    assert ended == [True]


def test_times_are_said_in_hours() -> None:
    """As short as they are."""
    assert (words(8 * 3600), words(5400)) == ("8 h", "1.5 h")


@pytest.mark.slow
def test_a_real_one_ends_by_itself(desk: Path) -> None:
    """It answers, and is gone with its file some seconds after its last request; the next start makes another."""
    home = desk / "home"
    prepare_environment(home)
    server, started = start_server(home, idle=4)
    try:
        assert started
        assert server.idle == 4
        until(lambda: api_answers(server.api), 60)
        answered = time.monotonic()
        until(lambda: not find_server(home), 30)
        assert time.monotonic() - answered >= 3
        assert not state_file(home).exists()
        assert "Nobody has used this server for 4 s: it ends." in Path(server.log).read_text()
    finally:
        stop_server(home)
