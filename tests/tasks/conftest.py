"""What tests of stages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.image_table import ImageTable
from tests.tasks.bench import Bench
from tests.tasks.small_split import small_split, written


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Empty folders to download with, and no proxy of this machine's before the mirrors."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Bench(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    """150 rows of the small split as a table of four row groups."""
    return written(tmp_path / "table.parquet", small_split(150))
