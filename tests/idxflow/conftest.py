"""What the top floor's tests share: a working folder of their own, without anybody's settings, and its store."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest

from artifacts.store.store import Store
from idxflow.api import Archive, ArchivedRun, open_store
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


class Stranger(ThreadingHTTPServer):
    """A server that answers everything, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.told: list[str] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.append(f"{self.command} {self.path}\n{self.headers}")
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """A stranger on some port."""
    with Stranger(0) as server:
        yield server
        server.shutdown()


def assert_refused(arguments: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that a command is wrong usage: one line on standard error that holds `words`, and nothing made."""
    assert main(arguments) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    assert errors.count("\n") == 1
    assert errors.startswith("ERROR ")
    assert words in errors
    assert not list(desk.iterdir())
