"""What is written to the dashboard, and what a dashboard that cannot be written to does to a run: nothing."""

from __future__ import annotations

from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.noticeboard import Noticeboard


def test_what_cannot_be_written_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens at the address: each block is left where it fails, and one warning tells of all, without it."""
    passed = 0
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        board = Noticeboard(FlowRun(id=uuid4(), flow_id=uuid4()))
        for _ in range(3):
            with board.writing():
                board.rename("mnist / tutorial", ())
                passed += 1
    assert passed == 0
    (warning,) = caplog.messages
    assert "found ConnectError. The run goes on" in warning
    assert "127.0.0.1" not in warning


def test_an_interruption_is_not_swallowed() -> None:
    """Who presses Ctrl-C while the dashboard is written to is heard."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        board = Noticeboard(FlowRun(id=uuid4(), flow_id=uuid4()))
    with pytest.raises(KeyboardInterrupt), board.writing():
        raise KeyboardInterrupt
