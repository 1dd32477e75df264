"""Which API a command talks to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idxflow.connection import connect
from idxflow.environment import prepare_environment
from idxflow.server import stop_server
from schemas.errors import ServerError
from tests.idxflow.conftest import Screen


def test_a_chosen_api_has_to_answer(desk: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PREFECT_API_URL set to nobody there is an error with a way out, and no server is started."""
    monkeypatch.setitem(os.environ, "PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServerError, match=r"Prefect API http://127.0.0.1:9/api: expected an answer"):
        connect(desk / "home", screen)
    assert not (desk / "home").exists()


@pytest.mark.slow
def test_the_server_of_the_home_folder_is_found_again(desk: Path, screen: Screen) -> None:
    """The first call starts a server and says how to stop it; the second finds it, quietly, also by PREFECT_API_URL."""
    home = desk / "home"
    prepare_environment(home)
    try:
        first = connect(home, screen)
        first.wait()
        assert first.stop == f"idxflow server stop --home {home}"
        assert "Prefect server started at" in screen.text.getvalue()
        said = len(screen.text.getvalue())
        assert os.environ["PREFECT_API_URL"]
        second = connect(home, screen)
        second.wait()
        assert second.stop == first.stop
        assert len(screen.text.getvalue()) == said
    finally:
        stop_server(home)
