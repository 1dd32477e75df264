"""The whole pipeline on workers: the same artifacts as threads make, and what a job says of who computes."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from artifacts.current import CURRENT
from artifacts.engine.execution import Done, Execution
from artifacts.engine.workers import Executor, Threads
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from flows.dag import dag
from flows.workers import executor_of, require_workers
from idxflow.cli.settings import load_settings
from schemas.catalog import load_dataset
from schemas.errors import UsageError
from schemas.workers import Workers
from tests.flows.walking import RUN, TRAINING, Walk, digits_home
from tests.processes import until
from tests.suites.processes import below
from tests.suites.stages import call_of, make, trial


class Elsewhere(Walk):
    """A walk whose stages an executor carries out."""

    def __init__(self, store: Store, run: str, executor: Executor) -> None:
        super().__init__(store, run)
        self._executor = executor

    def perform(self, execution: Execution) -> Done:
        """Have it done."""
        return self._executor.carry_out(execution, lambda: None)


@pytest.mark.slow
def test_workers_make_the_same_artifacts(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of the whole pipeline each artifact has the version and the content that threads give it, the weights too."""
    wanted = Store(digits_home(tmp_path_factory.getbasetemp()))
    store, run = Store(tmp_path / "home"), "d" * 12
    hold = Hold(store.holds, run)
    before = below(os.getpid())
    with closing(executor_of(Workers(runner="dask", count=2))) as executor:
        token = CURRENT.set(Elsewhere(store, run, executor))
        try:
            dag(load_dataset("digits"), TRAINING)
        finally:
            CURRENT.reset(token)
        assert len(below(os.getpid()) - before) >= 3
    hold.release()

    def told(of: Store) -> dict[tuple[str, str], tuple[str, str]]:
        return {(each.stage, each.name): (each.version, each.digest) for each in of.manifests()}

    assert len(told(store)) == 20
    assert told(store) == told(wanted)


def test_workers_are_said_in_one_place() -> None:
    """An address implies the runner, and has workers of its own; without a word it is threads."""
    assert Workers().runner == "threads"
    assert Workers(cluster="tcp://10.0.0.1:8786").runner == "dask"
    assert Workers(cluster="tls://[::1]:8786", runner="threads").runner == "dask"
    with pytest.raises(ValidationError, match="a cluster has its own workers"):
        Workers(cluster="tcp://host:8786", count=2)


@pytest.mark.parametrize(
    "address", ["host:8786", "http://host:8786", "tcp://me:word@host:8786", "tcp://host", "tcp://h:1/x"]
)
def test_an_address_is_nothing_but_that(address: str) -> None:
    """What is no scheduler's address, or holds a user and a password, is refused."""
    with pytest.raises(ValidationError, match="should match pattern"):
        Workers(cluster=address)


def test_a_job_of_threads_has_threads() -> None:
    """Without a runner nothing of Dask is needed, and the number is how many work at once."""
    assert isinstance(executor_of(Workers()), Threads)
    assert isinstance(executor_of(Workers(count=3)), Threads)


@pytest.mark.parametrize(("count", "begun"), [(None, 1), (2, 2)])
def test_threads_train_so_many_at_once(tmp_path: Path, count: int | None, begun: int) -> None:
    """Of trainings one is at work at a time, or as many as were asked for; all of them are done in the end."""
    store, notes, executor = Store(tmp_path / "home"), tmp_path / "notes", executor_of(Workers(count=count))
    table = Execution(store, RUN, RUN, make, {"name": "one"})().ref
    wanted = [Execution(store, RUN, RUN, trial, call_of(table, each, "slow", str(notes))) for each in range(2)]
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(executor.carry_out, each, lambda: None) for each in wanted]
        until(notes.exists)
        time.sleep(0.5)
        assert len(notes.read_text().splitlines()) == begun
    assert not any(future.result().row.cached for future in futures)


def test_without_dask_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for workers without the extra is told so before anything runs."""
    monkeypatch.setattr("flows.workers.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'idxflow\[tune\]'"):
        executor_of(Workers(runner="dask"))
    require_workers(Workers())


def test_settings_say_who_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options and variables are parts of one setting; a wrong one is told under the option's name."""
    monkeypatch.setenv("IDXFLOW_WORKERS__COUNT", "3")
    assert load_settings({"workers": {"runner": "dask"}}).job.workers == Workers(runner="dask", count=3)
    with pytest.raises(UsageError, match="--runner: expected one of threads, dask, found 'ray'"):
        load_settings({"workers": {"runner": "ray"}})
    with pytest.raises(UsageError, match="--cluster: expected a value as tcp://HOST:8786, found 'host'"):
        load_settings({"workers": {"cluster": "host"}})
