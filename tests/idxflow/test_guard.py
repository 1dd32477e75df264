"""The guard before the server's application, over real HTTP: whose requests reach it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from idxflow.server.guard import guarded
from tests.processes import until

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def _answer(_: Request) -> PlainTextResponse:
    return PlainTextResponse("read")


async def _speak(speaking: WebSocket) -> None:
    await speaking.accept()
    await speaking.send_text("read")
    await speaking.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of an application that answers everybody, behind the guard."""
    routes = [Route("/", _answer, methods=["GET", "POST"]), WebSocketRoute("/socket", _speak)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = int(listener.getsockname()[1])
        application = guarded(Starlette(routes=routes), number, ["https://team.test/api"])
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        until(lambda: server.started)
        yield number
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "team.test"])
@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:{port}", "http://localhost:{port}", "https://team.test"])
def test_its_own_addresses_are_let_through(port: int, host: str, origin: str | None) -> None:
    """A program, which names no origin, and the dashboard's own pages: requests and sockets."""
    own = origin and origin.format(port=port)
    headers = {"Host": host.format(port=port)} | ({"Origin": own} if own else {})
    assert httpx.post(f"http://127.0.0.1:{port}/", headers=headers).text == "read"
    with connect(f"ws://127.0.0.1:{port}/socket", origin=own) as speaking:  # type: ignore[arg-type]  # a new type of text
        assert speaking.recv() == "read"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://127.0.0.1:{port}",
        "http://team.test",
        "http://127.0.0.1:{port}.test",
    ],
)
def test_another_origin_is_refused(port: int, origin: str) -> None:
    """A page of another scheme, host or port, or of none: neither reads nor asks beforehand, nor speaks by a socket."""
    headers = {"Origin": origin.format(port=port), "Access-Control-Request-Method": "POST"}
    for method in ("GET", "POST", "OPTIONS", "DELETE"):
        answer = httpx.request(method, f"http://127.0.0.1:{port}/", headers=headers)
        assert (answer.status_code, answer.text) == (403, "Foreign origin")
        assert "access-control-allow-origin" not in answer.headers
    answer = httpx.get(f"http://127.0.0.1:{port}/socket", headers=HANDSHAKE | headers)
    assert (answer.status_code, answer.text) == (403, "Foreign origin")


@pytest.mark.parametrize("host", ["rebound.test", "rebound.test:{port}", "127.0.0.1.rebound.test:{port}", ""])
def test_another_host_is_refused(port: int, host: str) -> None:
    """A name that somebody made to point here is none of the server's."""
    headers = {"Host": host.format(port=port)}
    for path, more in (("/", {}), ("/socket", HANDSHAKE)):
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers | more)
        assert (answer.status_code, answer.text) == (400, "Invalid host header")
