"""Prefect's temporary server, as `python flows/pipeline.py` has it: it lets nobody in but that process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import bare_environment, run_python

SCRIPT = """
import requests
from flows.temporary import lock_temporary_server
from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer

lock_temporary_server()
with get_client(sync_client=True) as client:
    assert client.read_flow_runs() == []
    (server,) = set(SubprocessASGIServer._instances.values())
    asked = f"{server.api_url}/admin/version"
    print(*(requests.get(asked, auth=auth).status_code for auth in (None, ("idxflow", "x"))))
    print(requests.post(f"{server.api_url}/flow_runs/filter", json={}).status_code)
"""


@pytest.mark.slow
def test_the_temporary_server_lets_nobody_in(tmp_path: Path) -> None:
    """The process that starts it is answered; whoever has not its password is not."""
    answered, _ = run_python("-c", SCRIPT, cwd=tmp_path, environment=bare_environment(PREFECT_HOME=str(tmp_path)))
    assert answered.split() == ["401", "401", "403"]
