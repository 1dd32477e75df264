"""The machine that a Prefect server runs on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self
from unittest import mock

from idxflow.server.environment import prepare_environment
from idxflow.server.local import Server, start_server, stop_server, wait_for_server
from idxflow.server.password import read_password
from schemas.errors import ServerError
from tests.processes import bare_environment

PORTS = range(29300, 29400)
SERVER = {
    # So that queued runs are looked at again each second, where Prefect's server takes half a minute.
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


class Host:
    """A host whose server can be started, stopped, and started again where it was; in the end it is stopped."""

    def __init__(self, home: Path) -> None:
        self.home, self.ports = home, PORTS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Server:
        """Start the server unless it runs, as `idxflow server start` does, and wait until it answers."""
        with mock.patch.dict(os.environ, bare_environment(HOME=str(self.home), **SERVER), clear=True):
            prepare_environment(self.home)
            server = self._start()
            self.ports = range(server.port, server.port + 1)
            wait_for_server(self.home, server)
        return server

    def _start(self, seconds: float = 60) -> Server:
        """Start it on the port that it had, as soon as that is free: a client may sit on it for a moment."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return start_server(self.home, ports=self.ports)[0]
            except ServerError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    @property
    def password(self) -> str:
        """The password of the server that was started."""
        return read_password(self.home)

    def stop(self) -> None:
        """Stop it."""
        stop_server(self.home)
