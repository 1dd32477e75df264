"""Each runner passes the suite of runners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.engine.workers import Executor
from tests.suites.runners import RunnerSuite
from tests.suites.scheduling import scheduler, workers
from tests.suites.trials import executor_of

pytestmark = pytest.mark.usefixtures("prefect_server")


class TestThreads(RunnerSuite):
    """The threads of the flow."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls) -> str:
        """Its word."""
        return "threads"

    @pytest.fixture
    def executor(self, runner: str) -> Executor:
        """One for each test."""
        return executor_of(runner)


@pytest.mark.slow
class TestLocal(RunnerSuite):
    """Workers of this machine, which are started for the run."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls) -> str:
        """Its word."""
        return "dask"

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, runner: str) -> Iterator[Executor]:
        """One for all tests."""
        executor = executor_of(runner)
        yield executor
        executor.close()


@pytest.mark.slow
class TestAddress(RunnerSuite):
    """A cluster that somebody else has started."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        """The address of a scheduler with two workers."""
        folder: Path = tmp_path_factory.mktemp("cluster")
        with scheduler(folder) as address, workers(address, folder):
            yield address

    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls, runner: str) -> Iterator[Executor]:
        """One for all tests."""
        executor = executor_of(runner)
        yield executor
        executor.close()
