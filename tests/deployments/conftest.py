"""What the deployments' tests share: one real server, on which prefect.yaml is deployed as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.host import Host
from tests.deployments.site import Site
from tests.deployments.team import TEMPLATE


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A running server, with the work pool and what prefect.yaml deploys, all by Prefect's own commands."""
    folder = tmp_path_factory.mktemp("server")
    with Host(folder / "home") as host:
        with Site(host.start().api, folder, host.password) as site:
            site.prefect("work-pool", "create", "idxflow", "--type", "process", *TEMPLATE)
            site.prefect("deploy", "--all")
        yield host


@pytest.fixture
def site(host: Host, tmp_path: Path) -> Iterator[Site]:
    """A home folder of this test's own on that server."""
    with Site(host.start().api, tmp_path, host.password) as site:
        yield site
