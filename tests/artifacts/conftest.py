"""What tests of the store share: an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "home")
