"""What the commands' tests share: a store with a model in it."""

from __future__ import annotations

import pytest

from artifacts.ref import Ref
from artifacts.store.store import Store
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build


@pytest.fixture
def model(store: Store) -> Ref:
    """A model in the store, with the run that made it."""
    ref = build(store, {"model.keras": b"weights"}, "train")
    write_run(store, "a" * 12, [stage_record(ref)])
    return ref
