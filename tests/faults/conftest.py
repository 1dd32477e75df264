"""What tests of faults share: a store in which not everything is held."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.archive.names import Names
from artifacts.store.store import Store
from tests.faults.scenarios import NOW, OLD, ref_of, three_artifacts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three artifacts; the last run used the first, an alias holds the second."""
    store = three_artifacts(tmp_path / "home", OLD)
    Names(store).set_alias("champion", "parse", ref_of(1).version, NOW)
    return store
