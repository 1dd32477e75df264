"""Workers that die, and everything else that can happen to a cluster: told in time, and nothing is left of it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from artifacts.engine import cluster as cluster_module
from artifacts.engine.cluster import Cluster
from artifacts.engine.execution import Done, Execution
from artifacts.engine.stopping import Stopped
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from schemas.catalog import load_dataset
from schemas.errors import ClusterError, WorkerLost
from schemas.events import Event, Progress, listening
from tasks.download import download
from tests.processes import PROJECT, bare_environment, ending, open_python, until
from tests.suites.processes import alive, below, named
from tests.suites.runners import BAR, RUN
from tests.suites.scheduling import scheduler, workers
from tests.suites.stages import MEMORY, call_of, make, trial

pytestmark = pytest.mark.slow


@pytest.fixture
def notes(tmp_path: Path) -> str:
    """A file in which trials note that they begin."""
    path = tmp_path / "notes"
    path.touch()
    return str(path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that a run holds."""
    store = Store(tmp_path / "home")
    hold = Hold(store.holds, RUN)
    yield store
    hold.release()


@pytest.fixture
def local() -> Iterator[Cluster]:
    """Two workers of this machine."""
    executor = Cluster(lambda: MEMORY, count=2)
    yield executor
    executor.close()


def nothing() -> None:
    """Want it."""


def execution(store: Store, notes: str, how: str, number: int = 0, **more: Any) -> Execution:
    """An execution of a trial, whose table is made."""
    table = Execution(store, RUN, RUN, make, {"name": "one"})().ref
    return Execution(store, RUN, RUN, trial, call_of(table, number, how, notes), **more)


def outcome(executor: Cluster, wanted: Execution) -> Done | Exception:
    """Return what came of an execution."""
    try:
        return executor.carry_out(wanted, nothing)
    except Exception as error:
        return error


def at_work(store: Store, executor: Cluster, notes: str, pool: ThreadPoolExecutor, count: int = 2) -> list[Any]:
    """Begin endless trials. Returns: futures of their outcomes, once they are at work."""
    futures = [pool.submit(outcome, executor, execution(store, notes, "endless", number)) for number in range(count)]
    until(lambda: len(Path(notes).read_text().splitlines()) >= count, 90)
    return futures


def test_what_is_stored_starts_nothing(store: Store, notes: str, local: Cluster) -> None:
    """A sweep that is cached starts no process, and takes a moment."""
    done = execution(store, notes, "fine")()
    before = below(os.getpid())
    assert local.carry_out(execution(store, notes, "fine"), nothing).ref == done.ref
    assert below(os.getpid()) <= before


def test_a_worker_that_is_killed_costs_a_beginning(
    store: Store, notes: str, local: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Its execution is begun again on another one, which is said, counted, and no hit."""
    done = local.carry_out(execution(store, notes, "dies 1", called="trial 3"), nothing)
    assert (done.again, done.row.cached) == (1, False)
    assert "train trial 3: its worker died, done again (1)" in caplog.messages


def test_what_kills_every_worker_is_lost_alone(store: Store, notes: str, local: Cluster) -> None:
    """After four workers it is an outcome for a sweep; what waited beside it is done all the same."""
    wanted = [execution(store, notes, how, number) for number, how in enumerate(["dies", *["slow"] * 6])]
    with ThreadPoolExecutor(7) as pool:
        lost, *others = pool.map(lambda each: outcome(local, each), wanted)
    assert isinstance(lost, WorkerLost)
    assert "expected a worker that survives it, found 4 workers killed" in str(lost)
    assert Path(notes).read_text().count("trial 0 ") == 4
    assert all(isinstance(each, Done) for each in others), others


def test_each_worker_keeps_to_its_share_of_memory(store: Store, notes: str, local: Cluster) -> None:
    """A training that may take what is free takes half of its worker's memory; the artifact is the same."""
    wanted = execution(store, notes, "fine")
    done = local.carry_out(wanted, nothing)
    assert (store.folder("train", done.ref.version) / "memory").read_text() == str(MEMORY // 2 // 2)
    assert done.ref.version == wanted.stage.parts(wanted.arguments).version


def test_it_is_closed_in_a_moment(store: Store, notes: str) -> None:
    """Idle or in the middle of trials, all of its processes end at once, its folder goes, and who waits is told."""
    executor = Cluster(lambda: MEMORY, count=2)
    folders = set(Path(tempfile.gettempdir()).glob("idxflow-workers-*"))
    with ThreadPoolExecutor(2) as pool:
        futures = at_work(store, executor, notes, pool)
        mine = below(os.getpid())
        assert len(mine) >= 3
        began = time.monotonic()
        executor.close()
        assert time.monotonic() - began < 2
        assert all(isinstance(future.result(5), Stopped) for future in futures)
    until(lambda: not alive(mine), 5, lambda: [named(pid) for pid in alive(mine)])
    assert set(Path(tempfile.gettempdir()).glob("idxflow-workers-*")) <= folders


def test_it_is_closed_while_it_starts() -> None:
    """Whoever changes his mind at once waits for nothing, and nothing is left."""
    for seconds in (0.0, 0.3, 1.5):
        executor = Cluster(lambda: MEMORY, count=2)
        executor.start()
        time.sleep(seconds)
        began = time.monotonic()
        executor.close()
        assert time.monotonic() - began < 2
    until(lambda: not [pid for pid in below(os.getpid()) if "engine.host" in named(pid)], 10)


def test_a_local_scheduler_that_is_killed_is_told(store: Store, notes: str, local: Cluster) -> None:
    """Where the process that keeps the cluster dies, its workers end, and the run fails in time."""
    with ThreadPoolExecutor(2) as pool:
        futures = at_work(store, local, notes, pool)
        (host,) = [pid for pid in below(os.getpid()) if "engine.host" in named(pid)]
        mine = {host, *below(host)}
        began = time.monotonic()
        os.kill(host, signal.SIGKILL)
        assert all(isinstance(future.result(BAR), ClusterError) for future in futures)
        assert time.monotonic() - began < BAR
    until(lambda: not alive(mine), BAR, lambda: [named(pid) for pid in alive(mine)])


PARENT = """
import sys, threading
from pathlib import Path
from artifacts.engine.cluster import Cluster
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from tests.suites.runners import RUN
from tests.suites.stages import MEMORY, call_of, make, trial
from artifacts.engine.execution import Execution
store = Store(Path(sys.argv[1]))
hold = Hold(store.holds, RUN)
table = Execution(store, RUN, RUN, make, {"name": "one"})().ref
executor = Cluster(lambda: MEMORY, count=2)
for number in range(2):
    wanted = Execution(store, RUN, RUN, trial, call_of(table, number, "endless", sys.argv[2]))
    threading.Thread(target=executor.carry_out, args=(wanted, lambda: None)).start()
"""


def test_nothing_outlives_a_run_that_is_killed(tmp_path: Path, notes: str) -> None:
    """After kill -9 of the run's process no process and no folder of its workers is left."""
    environment = bare_environment(TMPDIR=str(tmp_path), PYTHONPATH=str(PROJECT))
    with ending(open_python("-c", PARENT, str(tmp_path / "home"), notes, environment=environment)) as process:
        until(lambda: len(Path(notes).read_text().splitlines()) == 2, 90)
        mine = below(process.pid)
        assert len(mine) >= 3
        process.kill()
        until(lambda: not alive(mine), BAR, lambda: [named(pid) for pid in alive(mine)])
    assert not list(tmp_path.glob("idxflow-workers-*"))


def test_a_scheduler_elsewhere_that_is_killed_is_told(store: Store, notes: str, tmp_path: Path) -> None:
    """Where a scheduler is gone the run fails in time; nothing is called done."""
    with ExitStack() as stack:
        address = stack.enter_context(scheduler(tmp_path))
        stack.enter_context(workers(address, tmp_path))
        executor = Cluster(lambda: MEMORY, address=address)
        stack.callback(executor.close)
        pool = stack.enter_context(ThreadPoolExecutor(2))
        futures = at_work(store, executor, notes, pool)
        (server,) = [pid for pid in below(os.getpid()) if "dask scheduler" in named(pid)]
        began = time.monotonic()
        os.kill(server, signal.SIGKILL)
        found = [future.result(2 * BAR) for future in futures]
        assert time.monotonic() - began < BAR
    assert all(isinstance(each, ClusterError) for each in found), found
    assert "expected a scheduler at tcp://" in str(found[0])


def test_workers_that_are_gone_are_told(
    store: Store, notes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no worker is left for a while the run fails; where one comes back in time it goes on."""
    monkeypatch.setattr(cluster_module, "ABSENT", 12.0)
    with scheduler(tmp_path) as address, ThreadPoolExecutor(2) as pool:
        executor = Cluster(lambda: MEMORY, address=address)
        try:
            with workers(address, tmp_path, 1):
                (future,) = at_work(store, executor, notes, pool, 1)
            with workers(address, tmp_path, 1):
                until(lambda: len(Path(notes).read_text().splitlines()) == 2, 60)
            began = time.monotonic()
            found = future.result(60)
            assert time.monotonic() - began < 12 + BAR
        finally:
            executor.close()
    assert isinstance(found, ClusterError)
    assert "expected at least one, found none for 12 s" in str(found)


def test_what_is_not_wanted_ends_at_its_next_step_elsewhere(store: Store, notes: str, tmp_path: Path) -> None:
    """A cluster of somebody else's is not killed: what a run leaves there ends by itself, and the worker is free."""
    with scheduler(tmp_path) as address, workers(address, tmp_path, 1), ThreadPoolExecutor(1) as pool:
        executor = Cluster(lambda: MEMORY, address=address)
        at_work(store, executor, notes, pool, 1)
        executor.close()
        version = execution(store, notes, "endless").stage.parts(execution(store, notes, "endless").arguments).version
        until(lambda: not store.is_busy("train", version), BAR)
        other = Cluster(lambda: MEMORY, address=address)
        assert not other.carry_out(execution(store, notes, "fine", 7), nothing).row.cached
        other.close()


def test_nobody_at_the_address_is_told(store: Store, notes: str) -> None:
    """Where no scheduler answers the run fails within seconds, and says where it looked."""
    executor = Cluster(lambda: MEMORY, address="tcp://127.0.0.1:9")
    began = time.monotonic()
    found = outcome(executor, execution(store, notes, "fine"))
    executor.close()
    assert time.monotonic() - began < 10 + BAR
    assert "--cluster tcp://127.0.0.1:9: expected a Dask scheduler that answers within 10 s" in str(found)
    assert isinstance(found, ClusterError)


def test_workers_of_several_threads_are_refused(store: Store, notes: str, tmp_path: Path) -> None:
    """A worker that would do two executions in one process is refused, and how to start it is said."""
    with scheduler(tmp_path) as address, workers(address, tmp_path, 1, 2):
        executor = Cluster(lambda: MEMORY, address=address)
        found = outcome(executor, execution(store, notes, "fine"))
        executor.close()
    assert "expected workers of one thread, found one of 2. Start them with `--nthreads 1`" in str(found)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "schemas/events.py",
            'default=""',
            'default="?"',
            "the code of download t10k-images-idx3-ubyte.gz as the run has it, found another: schemas/ev",
        ),
        ("artifacts/engine/host.py", "0.95", "0.94", "expected the software of the run, found idxflow"),
    ],
)
def test_workers_with_other_code_are_refused(
    store: Store, tmp_path: Path, file: str, old: str, new: str, words: str
) -> None:
    """A worker that would compute something else is told, and computes nothing."""
    other = tmp_path / "other"
    for folder in ("artifacts", "schemas", "tasks", "tests"):
        shutil.copytree(PROJECT / folder, other / folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (other / file).read_text()
    assert old in text
    (other / file).write_text(text.replace(old, new))
    with scheduler(tmp_path) as address, workers(address, tmp_path, 1, code=other):
        executor = Cluster(lambda: MEMORY, address=address)
        images = next(each for each in load_dataset("digits").files if each.name.startswith("t10k-images"))
        found = outcome(executor, Execution(store, RUN, RUN, download, download.bind(images)))
        executor.close()
    assert isinstance(found, ClusterError)
    assert words in str(found)
    assert not list(store.manifests())


def test_workers_with_another_home_folder_are_refused(tmp_path: Path, notes: str, local: Cluster) -> None:
    """A worker that does not see the run in the home folder is refused before it computes anything."""
    store = Store(tmp_path / "unheld")
    found = outcome(local, execution(store, notes, "fine"))
    assert isinstance(found, ClusterError)
    assert "with the run in it, found another folder, or none" in str(found)
    store.holds.mkdir(exist_ok=True)
    (store.holds / RUN).touch()
    assert "locks of the home folder" in str(outcome(local, execution(store, notes, "fine", 1)))
    assert not Path(notes).read_text()


def test_progress_is_not_a_flood(store: Store, notes: str, local: Cluster) -> None:
    """Of many steps some are told, and the last always."""
    shown: list[Event] = []
    wanted = execution(store, notes, "slow")
    thread = threading.get_ident()
    with listening(lambda event: shown.append(event) if threading.get_ident() == thread else None):
        local.carry_out(wanted, nothing)
    steps = [event.done for event in shown if isinstance(event, Progress)]
    assert 4 < len(steps) < 20
