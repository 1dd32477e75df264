"""What tests of stages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tasks.bench import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Empty folders to download with, and no proxy of this machine's before the mirrors."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Bench(tmp_path)
