"""The work of `idxflow up`: server, work pool, deployments, automations, and a worker that runs until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import signal
import socket
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.store.flock import try_lock
from idxflow.cli.settings import Settings
from idxflow.deploying.deployments import (
    FLOW,
    HEARTBEAT_SECONDS,
    deploying,
    described,
    described_for,
    ids,
    make_pool,
    put_automations,
    served,
)
from idxflow.deploying.runs import TakenRuns
from idxflow.server.connection import connect
from idxflow.server.environment import prepare_environment, user_api_url
from idxflow.server.local import api_answers, password_command
from idxflow.views.console import Console
from schemas.addresses import redact
from schemas.counts import counted
from schemas.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

Service = Callable[[], Awaitable[None]]
"""What executes runs until it is cancelled."""
DEFAULTS = {
    # Seconds between two polls. Prefect's 10 are meant for many workers on one server.
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_RUNNER_POLL_FREQUENCY": "2",
}


def bring_up(settings: Settings, console: Console, *, serve: bool, limit: int | None) -> None:
    """
    Set up everything that deployed runs need, and execute them until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        serve: no work pool and no worker: Prefect's runner executes the runs, as its `serve` does.
        limit: how many runs at once, of all deployments; None: as many as the deployments allow.
    Raises: UsageError: another one is active for this home folder; ServerError: no server, or one that refuses.
    """
    prepare_environment(settings.home, verbose=settings.verbose, remote=settings.remote)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_only_one(settings.home))
        if not settings.verbose:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            # The console holds standard output already; what Prefect prints there beside its log is noise.
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        connection = connect(settings.home, console, patient=True)
        if connection.started:
            console.line(f"Its dashboard asks once for the password that this prints: {connection.password}")
        from prefect.client.orchestration import get_client  # a server that was just started boots meanwhile

        connection.wait()
        client = stack.enter_context(get_client(sync_client=True))
        name = _worker_name(settings.home)
        work = (_serve if serve else _work)(client, console, limit, name)
        taken = TakenRuns(client, ids(client), name, settings.home)
        taken.crash_lost()
        _introduce(console, settings.home, connection.stop)
        stay(
            work,
            ready=lambda: console.line("Ctrl-C cancels the active runs and ends."),
            end_runs=lambda hurry: _end_runs(console, taken, hurry),
        )
        left = ""
        if _server_answers():
            taken.settle()
            left = f" The server stays; stop it with: {connection.stop}" if connection.stop else ""
        console.line(f"Stopped.{left}")


def _work(client: SyncPrefectClient, console: Console, limit: int | None, name: str) -> Service:
    """Set up the deployments of a work pool, and a worker of this name for it."""
    from prefect.workers.process import ProcessWorker

    pool = described()[0].work_pool.name
    make_pool(client, pool)
    with deploying(described_for(client)) as wait:
        put_automations(client)
        wait()
    _list(console)
    console.fact("Worker", f"{name}, of the work pool {pool}")
    worker = ProcessWorker(work_pool_name=pool, name=name, limit=limit)
    return functools.partial(worker.start, printer=_silent)


def _serve(client: SyncPrefectClient, console: Console, limit: int | None, name: str) -> Service:
    """Set up deployments that this process serves, under this name."""
    from idxflow.deploying.runner import NamingRunner

    put_automations(client)
    # As with a worker, runs that fall due meanwhile are executed later: a schedule that is paused at the end would stay
    # paused for a later worker.
    runner = NamingRunner(name=name, pause_on_shutdown=False, limit=limit, heartbeat_seconds=HEARTBEAT_SECONDS)
    for each in served(described_for(client)):
        runner.add_deployment(each)
    _list(console)
    console.fact("Served", f"by this process, as {name}")
    return runner.start


def _list(console: Console) -> None:
    console.fact("Deployments", ", ".join(each.full_name for each in described()))


def _introduce(console: Console, home: Path, stop: str | None) -> None:
    from prefect.settings import PREFECT_UI_URL

    console.fact("Dashboard", redact(PREFECT_UI_URL.value() or ""))
    let_in = f"PREFECT_API_AUTH_STRING=$({password_command(home)}) "
    where = f"PREFECT_API_URL={os.environ['PREFECT_API_URL']} {let_in}" if stop else ""
    console.fact("Start a run", f"{where}prefect deployment run {FLOW}/on-demand --param dataset=digits")
    if stop:
        console.fact("Its password", password_command(home))
        console.fact("Stop the server", stop)


def _end_runs(console: Console, taken: TakenRuns, hurry: threading.Event) -> None:
    console.line("Stopping.")
    if not _server_answers():
        console.warn("The server does not answer. Active runs are killed; the next `idxflow up` marks them as Crashed.")
    elif ended := taken.end(hurry):
        console.line(f"Cancelled {counted(ended, 'run')}; finished stages are stored.")


def _server_answers() -> bool:
    """Ask once and briefly, where Prefect's client would retry for half a minute."""
    return api_answers(user_api_url() or "", healthy=False)


def _silent(*_: object) -> None:
    """Print nothing: the worker's output is shown by `--verbose`, as log lines."""


def _worker_name(home: Path) -> str:
    """Return the name of this home folder's `idxflow up`, the same after a restart."""
    return f"up-{socket.gethostname()}-{hashlib.sha256(str(home).encode()).hexdigest()[:6]}"


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home folder's lock for an `idxflow up`; the kernel releases it when the process ends."""
    home.mkdir(parents=True, exist_ok=True)
    path = home.resolve() / "up.lock"
    if (descriptor := try_lock(path)) is None:
        raise UsageError(
            f"idxflow up, home folder {home}",
            expected="no other one",
            found=f"process {path.read_text().strip() or '(just starting)'}",
            way_out="That one executes the runs; Ctrl-C in its terminal stops it. Nothing has changed.",
        )
    with os.fdopen(descriptor, "w") as file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stay(
    work: Callable[[], Awaitable[None]], ready: Callable[[], object], end_runs: Callable[[threading.Event], object]
) -> None:
    """
    Run `work` until it ends by itself, or until Ctrl-C, SIGTERM, or SIGHUP that is not ignored.

    Args:
        work:     the service.
        ready:    called once it has begun, and signals stop it as described here.
        end_runs: called in another thread before the service is stopped, which would kill its runs. Its event is set
                  by a second Ctrl-C.
    Raises: what ended `work`.
    """
    asyncio.run(_stay(work, ready, end_runs))


async def _stay(
    work: Callable[[], Awaitable[None]], ready: Callable[[], object], end_runs: Callable[[threading.Event], object]
) -> None:
    stop, hurry = asyncio.Event(), threading.Event()

    def heard() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    service = asyncio.ensure_future(work())
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as by `nohup`
    signals = [number for number in SIGNALS if number != signal.SIGHUP or not ignored]
    # In its first step Prefect's Runner takes SIGTERM for itself, to exit at once. From then on it is ours.
    await asyncio.sleep(0)
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, heard)
    asked = asyncio.ensure_future(stop.wait())
    ready()
    try:
        await asyncio.wait({service, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not service.done():
            await asyncio.to_thread(end_runs, hurry)
    finally:
        asked.cancel()
        stopped_here = service.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await service
        for number in signals if stopped_here else ():
            asyncio.get_running_loop().remove_signal_handler(number)
