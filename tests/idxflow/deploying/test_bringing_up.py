"""What `idxflow up` decides before it works; the work is tried in tests/deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.cli.settings import load_settings
from idxflow.deploying.bringing_up import bring_up
from schemas.errors import ServerError
from tests.idxflow.conftest import Screen


def test_an_api_that_does_not_answer_ends_it(desk: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PREFECT_API_URL set to nobody it ends with the way out, twice: the first one's place is free again."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    for _ in range(2):
        with pytest.raises(ServerError, match=r"Prefect API http://127.0.0.1:9/api: expected an answer"):
            bring_up(load_settings({}), screen, serve=False, limit=None)
