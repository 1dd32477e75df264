"""What the top floor's tests share: a working folder of their own, without anybody's settings."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from idxflow.console import Console


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, and an environment that is restored: `prepare_environment` writes to it."""
    foreign = ("IDXFLOW_", "PREFECT_", "TF_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    with mock.patch.dict(os.environ, {**kept, "HOME": str(tmp_path)}, clear=True):
        monkeypatch.chdir(tmp_path)
        yield tmp_path


class Screen(Console):
    """A console whose output is kept, on a clock that is set by hand."""

    def __init__(self) -> None:
        self.text, self.errors, self.now = io.StringIO(), io.StringIO(), 0.0
        super().__init__(self.text, self.errors, clock=lambda: self.now)


@pytest.fixture
def screen() -> Screen:
    """A console that is not a terminal."""
    return Screen()
