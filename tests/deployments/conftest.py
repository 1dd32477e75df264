"""What the deployments' tests share: one real server, on which prefect.yaml is deployed as it stands."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from idxflow.environment import prepare_environment
from idxflow.server import Server, start_server, stop_server, wait_for_server
from schemas.errors import ServerError
from tests.deployments.site import Site, environment

PORTS = range(29300, 29400)
SERVER = {
    # So that queued runs are looked at again each second, where Prefect's server takes half a minute.
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}


class Host:
    """The machine that the server runs on: it can be started, stopped, and started again where it was."""

    def __init__(self, home: Path) -> None:
        self.home, self.ports = home, PORTS

    def start(self) -> Server:
        """Start the server, as `idxflow server start` does, and wait until it answers."""
        with mock.patch.dict(os.environ, environment(self.home, **SERVER), clear=True):
            del os.environ["PREFECT_HOME"]
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

    def stop(self) -> None:
        """Stop it."""
        stop_server(self.home)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A running server, with the work pool and what prefect.yaml deploys, all by Prefect's own commands."""
    folder = tmp_path_factory.mktemp("server")
    host = Host(folder / "home")
    try:
        with Site(host.start().api, folder) as site:
            site.prefect("work-pool", "create", "idxflow", "--type", "process")
            site.prefect("deploy", "--all")
        yield host
    finally:
        host.stop()


@pytest.fixture
def site(host: Host, tmp_path: Path) -> Iterator[Site]:
    """A home folder of this test's own on that server."""
    with Site(host.start().api, tmp_path) as site:
        yield site
