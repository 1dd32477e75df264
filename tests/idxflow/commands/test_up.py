"""The arguments of `idxflow up`; what it does is tried in tests/deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.cli.ending import WRONG_USAGE
from idxflow.cli.main import main


@pytest.mark.parametrize("limit", ["0", "-1", "1.5"])
def test_a_limit_of_nothing_is_refused(limit: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit that is no whole number from one is a wrong word, and nothing is started."""
    assert main(["up", "--limit", limit]) == WRONG_USAGE
    assert f"--limit: expected a whole number at least 1, found '{limit}'" in capsys.readouterr().err
    assert not list(desk.iterdir())
