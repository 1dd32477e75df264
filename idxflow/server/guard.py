"""
Prefect's server as `prefect server start` runs it, behind a guard: hosts and origins that are not its own are refused.

    python -P guard.py [--host HOST | --listener DESCRIPTOR] --port PORT

A page whose name was made to point here is refused by the Host of its requests, any other page by its Origin, before
Prefect sees them. Allowed are the addresses of PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
PREFECT_SERVER_UI_API_URL and PREFECT_API_URL, and 127.0.0.1 and localhost.

With --listener it is a home folder's own server: it makes that folder's database, deletes what its dashboard has no use
for, and ends when nobody uses it; see `idxflow.server.database`, `idxflow.server.forgetting` and
`idxflow.server.idling`. It is started as a file, so that it needs no idxflow on the path.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    import uvicorn

LOCAL = ("127.0.0.1", "localhost")


class OriginGuard:
    """
    Refuses requests and WebSockets of pages that are not the application's own.

    A browser names the page's origin in each request that could change or read something; other clients name none.

    Args: origins: scheme, host and port, as a browser writes them.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is not refused."""
        if scope["type"] in {"http", "websocket"}:
            origins = Headers(scope=scope).getlist("origin")
            if any(origin not in self._origins for origin in origins):
                await PlainTextResponse("Foreign origin", status_code=403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def guarded(app: ASGIApp, port: int, addresses: Iterable[str]) -> ASGIApp:
    """
    Put the guard around an application.

    Args: addresses: of the application, beside those on this machine; a port that the scheme has anyway is left out.
    """
    own = [*(f"http://{host}:{port}" for host in LOCAL), *addresses]
    hosts = {name for address in own if (name := urlsplit(address).hostname)}
    origins = {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, own)}
    return TrustedHostMiddleware(OriginGuard(app, origins), allowed_hosts=sorted(hosts), www_redirect=False)


def end(server: uvicorn.Server) -> None:
    """Have a server end as it does at a signal."""
    server.should_exit = True


def main() -> None:
    """Run the server until it is stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default=LOCAL[0])
    parser.add_argument("--listener", type=int, help="an inherited socket, which listens already")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()

    gc.disable()  # until it serves: hundreds of thousands of objects last, and would be searched again and again
    if given.listener is not None:
        from idxflow.server.database import prepare_database

        prepare_database(os.environ)
    import uvicorn

    from idxflow.later import grammar_later

    with grammar_later():
        from prefect.server.api.server import create_app
        from prefect.settings import get_current_settings

    settings = get_current_settings()
    api, origins = settings.server.api, settings.server.api.cors_allowed_origins.split(",")
    addresses = [*(each for each in origins if each != "*"), settings.server.ui.api_url, settings.api.url]
    # Not `final`, which only collects garbage: a quarter of a second for 7,000 of 290,000 objects.
    app = guarded(create_app(), given.port, filter(None, addresses))
    if given.listener is not None:
        from idxflow.server.forgetting import WhenIdle, forget_one
        from idxflow.server.idling import VARIABLE, UntilUnused, leave

        app = WhenIdle(app, forget_one)
        if idle := os.environ.pop(VARIABLE, ""):
            home, _, seconds = idle.rpartition("\n")
            app = UntilUnused(app, float(seconds), lambda: leave(Path(home), float(seconds), lambda: end(server)))
    config = uvicorn.Config(
        app,
        host=given.host,
        port=given.port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level=settings.server.logging_level.lower(),
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)  # migrates a database
            gc.enable()

    gc.freeze()
    server = Server(config)
    server.run(None if given.listener is None else [socket.socket(fileno=given.listener)])
    if not server.started:
        raise SystemExit(3)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))  # last, so that it is nobody's tests or tasks
    main()
