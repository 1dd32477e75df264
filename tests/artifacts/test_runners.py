"""Each runner passes the suite of runners."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from artifacts.engine.companion import Companion
from artifacts.engine.workers import Executor, Threads
from artifacts.store.store import Store
from schemas.errors import TrainingDiverged
from tests.processes import ending, open_python, served_environment, until
from tests.suites.processes import alive, below
from tests.suites.runners import RunnerSuite, TurnSuite
from tests.suites.scheduling import scheduler, workers
from tests.suites.trials import executor_of, program

pytestmark = pytest.mark.usefixtures("prefect_server")


class TestThreads(TurnSuite):
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


class TestCompanion(TurnSuite):
    """The threads of the flow, and a process beside it for what belongs on the main thread."""

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls) -> str:
        """Its word."""
        return "companion"

    @pytest.fixture
    def executor(self, runner: str) -> Iterator[Executor]:
        """One for each test: a run that ends ends it."""
        executor = executor_of(runner)
        yield executor
        executor.close()

    def test_it_is_another_process(self, executor: Executor, held: Store, notes: str) -> None:
        """One that goes on from execution to execution, also after one that failed."""
        for number, how in enumerate(("fine", "diverges", "fine")):
            with suppress(TrainingDiverged):
                executor.carry_out(self.execution(held, notes, how, number), lambda: None)
        first, *others = {int(line.split()[-1]) for line in Path(notes).read_text().splitlines()}
        assert not others
        assert first != os.getpid()

    def test_where_it_dies_the_run_does_the_work(
        self, executor: Executor, held: Store, notes: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A companion that is killed costs a warning and a new beginning, for what it was doing and for all later."""
        with caplog.at_level(logging.WARNING, "idxflow"):
            done = executor.carry_out(self.execution(held, notes, "dies 1"), lambda: None)
            executor.carry_out(self.execution(held, notes, "fine", 1), lambda: None)
        died, again, later = (int(line.split()[-1]) for line in Path(notes).read_text().splitlines())
        assert died != os.getpid() == again == later
        assert not done.row.cached
        assert [record.getMessage() for record in caplog.records] == [
            "train its own 0: the process that did it has died; it is done again in this one"
        ]

    def test_one_that_cannot_begin_is_done_without(self, held: Store, notes: str) -> None:
        """A companion that ends without a word leaves everything to the run."""
        executor = Threads(companion=Companion("tests.suites.no_such_module", None))
        executor.carry_out(self.execution(held, notes, "fine"), lambda: None)
        assert Path(notes).read_text().split()[-1] == str(os.getpid())
        executor.close()

    def test_what_it_logs_is_the_runs(
        self, executor: Executor, held: Store, notes: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A line of its log is one of the run's log, under the same name."""
        with caplog.at_level(logging.INFO, "idxflow"):
            executor.carry_out(self.execution(held, notes, "odd"), lambda: None)
        assert [(record.name, record.getMessage()) for record in caplog.records] == [("idxflow.test", "trial 0 is odd")]

    def test_it_ends_with_a_run_that_is_killed(self, home: Path, notes: str) -> None:
        """After kill -9 of the run in the middle of a trial no process of it is left."""
        environment = served_environment(IDXFLOW_HOME=str(home))
        with ending(open_python(*program("companion", notes, "endless"), environment=environment)) as process:
            until(lambda: Path(notes).read_text(), 180)  # it starts on a busy machine
            mine = below(process.pid)
            process.kill()
            process.communicate(timeout=60)
        until(lambda: not alive(mine), 15, lambda: alive(mine))


@pytest.mark.slow
class TestLocal(TurnSuite):
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
