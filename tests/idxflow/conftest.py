"""What the top floor's tests share: a working folder of their own, without anybody's settings, and its store."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from artifacts.store.store import Store
from idxflow.archive import Archive, ArchivedRun, open_store
from idxflow.cli.ending import WRONG_USAGE
from idxflow.cli.main import main
from idxflow.server import faithful
from idxflow.views.console import Console
from tests.flows.walking import digits_home
from tests.processes import FOREIGN


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, and an environment that is restored: `prepare_environment` writes to it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with (
        mock.patch.dict(os.environ, {**kept, "HOME": str(tmp_path)}, clear=True),
        mock.patch.dict(faithful._watched, clear=True),  # the next test's server may have the same port
    ):
        monkeypatch.chdir(tmp_path)
        yield tmp_path


@pytest.fixture
def store(desk: Path) -> Store:
    """An empty store in the working folder."""
    return Store(desk / ".idxflow")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The store of a run over the digits; to be read only."""
    return open_store(digits_home(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def run(kept: Archive) -> ArchivedRun:
    """The run over the digits; to be read only."""
    return kept.run()


class Screen(Console):
    """A console whose output is kept, on a clock that is set by hand."""

    def __init__(self) -> None:
        self.text, self.errors, self.now = io.StringIO(), io.StringIO(), 0.0
        super().__init__(self.text, self.errors, clock=lambda: self.now)


@pytest.fixture
def screen() -> Screen:
    """A console that is not a terminal."""
    return Screen()


def assert_refused(arguments: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that a command is wrong usage: one line on standard error that holds `words`, and nothing made."""
    assert main(arguments) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    assert errors.count("\n") == 1
    assert errors.startswith("ERROR ")
    assert words in errors
    assert not list(desk.iterdir())
