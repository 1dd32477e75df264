"""What `idxflow predict` named, shown by the home folder's server afterwards, for real; without one nothing is done."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.scored_page import FLOW
from idxflow.api import Archive, open_store
from idxflow.server.environment import prepare_environment
from idxflow.server.local import start_server, stop_server, wait_for_server
from idxflow.server.password import read_password
from tests.processes import until
from tests.tasks.idx_bytes import write_idx


@pytest.fixture
def home(kept: Archive, desk: Path) -> Path:
    """A copy of the store of a run over the digits."""
    shutil.copytree(kept.store.home, desk / ".idxflow", symlinks=True)
    return desk / ".idxflow"


def test_without_a_server_nothing_is_posted(home: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started, and the images are named all the same."""
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was started"))
    write_idx(desk / "images", np.zeros((3, 8, 8), np.uint8))
    assert open_store(home).predict("latest", "images").images == 3


@pytest.mark.slow
def test_the_server_shows_what_was_named(home: Path, desk: Path) -> None:
    """A completed flow run with its page, named for what it did; the command has not waited for it."""
    prepare_environment(home)
    server, _ = start_server(home)
    try:
        wait_for_server(home, server)
        write_idx(desk / "images", np.full((30, 8, 8), 16, np.uint8))
        answers = open_store(home).predict("latest", "images")
        assert answers.places[0].drift
        settings = {PREFECT_API_URL: server.api, PREFECT_API_AUTH_STRING: read_password(home)}
        with temporary_settings(settings), get_client(sync_client=True) as client:

            def shown() -> list[FlowRun]:
                wanted = FlowFilter.model_validate({"name": {"any_": [FLOW]}})
                found = client.read_flow_runs(flow_filter=wanted)
                return [run for run in found if run.state_name == "Completed"]

            until(lambda: bool(shown()))
            (run,) = shown()
            assert run.name == "digits / 30 images named, unlike training"
            assert {"digits", "scores"} <= set(run.tags)
            (page,) = client.read_artifacts()
            assert page.flow_run_id == run.id
            assert "| Images | 30 |" in str(page.data)
    finally:
        stop_server(home)
