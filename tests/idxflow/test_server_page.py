"""What is told of a server, without one and with a chosen one. (A real one: test_app.py.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.views.server_page import ServerStatus, print_status, server_status
from idxflow.views.times import local_time


def test_without_a_server_there_is_nothing_but_that(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server: no address, no process; an API that was chosen is named without its password."""
    assert server_status(desk) == ServerStatus(running=False)
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@example.org/api")
    told = server_status(desk)
    assert told.chosen
    assert "secret" not in told.chosen


def test_a_server_is_told_in_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Address, process with its start in local time, log; and whether it answers yet."""
    started = "2026-11-24T17:05:52+00:00"
    print_status(ServerStatus(running=True, address="http://x", pid=7, started=started, log="/l"))
    assert capsys.readouterr().out.splitlines() == [
        "Prefect server is starting, or does not answer, at http://x",
        f"Process 7, since {local_time(started)}",
        "Log: /l",
    ]
