"""The arguments of `idxflow up`; what it does is tried in tests/deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from idxflow.commands.up import up
from schemas.errors import UsageError


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_is_refused(limit: int, desk: Path) -> None:
    """A limit below one is a wrong word, and nothing is started."""
    with pytest.raises(UsageError, match=rf"--limit: expected a whole number from 1, found {limit}"):
        up(limit=limit)
    assert not list(desk.iterdir())
