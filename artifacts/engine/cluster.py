"""
Executions on Dask workers: processes of this machine that are started for the run, or those of a scheduler elsewhere.

An execution travels, and what it did comes back; the recorder stays with the flow. Whoever waits here looks once and
again whether anybody still wants the artifact, and whether there still are workers: no wait is without an end.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from artifacts.engine.apart import needs_this_host, offer, take_over
from artifacts.engine.execution import Done, Execution
from artifacts.engine.forwarding import event_of
from artifacts.engine.host import Asked, security_of
from artifacts.engine.places import TICK, Places
from artifacts.engine.remote import Terms, import_early, software, unlike
from artifacts.engine.remote import work as work_there
from artifacts.engine.stopping import Stopped
from artifacts.ref import Ref
from schemas.errors import ClusterError, WorkerLost
from schemas.events import emit
from schemas.text import amount

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.security import Security

CONNECT = 10.0
"""Seconds for a scheduler to answer."""
START = 90.0
"""Seconds for the processes of a local cluster to be there; on a quiet machine it takes two to four."""
ABSENT = 60.0
"""Seconds without any worker after which they count as gone."""
LOOK = 2.0
"""Seconds between two looks at whether there are workers."""
CLOSE = 1.0
"""Seconds to say goodbye to a scheduler in."""
ATTEMPTS = 4
"""How many workers an execution may cost: Dask's own bound, and that of what was only waiting on one that died."""
LEAST_MEMORY = 2**30
"""Bytes that each worker has at the least; a cluster whose size nobody has said is as large as that allows."""
QUIET = {"distributed": "critical", "distributed.client": "critical", "tornado": "critical", "asyncio": "critical"}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
ENVIRONMENT = dict.fromkeys(THREADS, "1") | {"TF_CPP_MIN_LOG_LEVEL": "3", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Variables of a local worker: as many workers as cores, each of one thread. Bits do not depend on them."""
logger = logging.getLogger("idxflow.workers")
Kind = Literal["ended", "lost", "begun", "started", "progress"]


class Local:
    """
    A cluster of this machine: one process that keeps it, and its workers.

    Args: count: of workers; memory: bytes that all of them may take together.
    """

    def __init__(self, count: int, memory: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="idxflow-workers-"))
        self._said = self._folder / "said"
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        try:
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "artifacts.engine.host", str(self._folder)],
                    env={**os.environ, **ENVIRONMENT, "PYTHONPATH": paths},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    start_new_session=True,  # Ctrl-C of a terminal is the run's, which then ends all of this
                )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.security: Security | None = None
        self._asked = count, memory // count

    def address(self) -> str:
        """Return the scheduler's address, once it has its workers. Raises: ClusterError: it has none."""
        from distributed.security import Security  # both ends import Dask at the same time

        made = Security.temporary()
        asked = Asked(*self._asked, made.tls_ca_file, made.tls_client_key)
        self.security = security_of(asked)
        self._write(asked.line)
        timer = threading.Timer(START, self._kill)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline() if self._process.stdout else b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            raise ClusterError(
                "--runner dask",
                expected=f"workers within {START:.0f} s",
                found=self._last_words() or "none",
                way_out="Run again; with --runner threads none are needed.",
            )
        return line.decode().strip()

    @property
    def has_ended(self) -> bool:
        """Whether the process that keeps it is gone."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End all of its processes at once: what they were doing is as safe as after any kill."""
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, line: bytes) -> None:
        if self._process.stdin:
            with suppress(OSError):  # it has ended at once: the address that it does not say tells that
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _kill(self) -> None:
        # Its workers are in its group, and may outlive it for a moment: the group is there for as long as one of it is.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self._said.read_text(errors="replace").strip().splitlines()
            return lines[-1][:200] if lines else ""
        return ""


class Cluster:
    """
    Executions on Dask workers; see `artifacts.engine.workers.Executor`.

    Args:
        free:    tells how many bytes of memory are free; asked when local workers are started.
        count:   of local workers; None: as many as cores, as far as memory allows.
        address: of a scheduler; None: local workers.
    """

    def __init__(self, free: Callable[[], int], *, count: int | None = None, address: str | None = None) -> None:
        self._free, self._count, self._address = free, count, address
        self._topic = f"idxflow-{secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._begun = False
        self._ready, self._closed = threading.Event(), threading.Event()
        self._broken: Exception | None = None
        self._local: Local | None = None
        self._client: Client | None = None
        self._places: Places | None = None
        """One a worker of this machine, for trainings: Dask hands out two a worker at once, in the order they come."""
        self._offered: set[Ref] = set()
        self._boxes: dict[str, queue.SimpleQueue[tuple[Kind, Any]]] = {}

    def start(self, imports: Collection[str] = ()) -> None:
        """Start the workers, or connect to them, in the background; see `Executor`."""
        with self._lock:
            if self._begun or self._closed.is_set():
                return
            self._begun = True
        threading.Thread(target=self._start, args=(tuple(imports),), name="workers", daemon=True).start()

    def carry_out(self, execution: Execution, begin: Callable[[], None]) -> Done:
        """Take the artifact from the store, or have a worker make it; see `Executor`."""
        if done := execution.stored():
            return done
        begin()
        shared = bool(self._address and execution.remote)  # its workers may be other hosts, with homes of their own
        if shared and needs_this_host(execution):
            return execution(begin)
        self.start([execution.stage.imports] if execution.stage.imports else [])
        while not self._ready.wait(TICK):
            begin()
        if shared:
            offer(execution, self._offered, begin)
        places = self._places if execution.stage.on_main_thread else None
        with places.taken(execution.turn, begin) if places else nullcontext():
            sent = _Sent(self, execution)
            try:
                done = sent.done(begin)
            finally:
                sent.forget()
        return take_over(execution, done) if done.apart else done

    def close(self) -> None:
        """End the workers that were started; let go of others, whose work ends as soon as they notice."""
        self._closed.set()
        self._ready.set()
        for box in tuple(self._boxes.values()):
            box.put(("ended", None))
        with self._lock:
            client, self._client = self._client, None
            local, self._local = self._local, None
        if client:
            # In a thread: whatever it waits for, a run does not.
            thread = threading.Thread(target=_close_quietly, args=(client,), name="goodbye", daemon=True)
            thread.start()
            thread.join(2 * CLOSE)
        if local:
            local.close()

    def send(self, execution: Execution, terms: Terms) -> Future[Any]:
        """Send an execution. Raises: Stopped: the run has ended; ClusterError: there is nobody to send it to."""
        self.check()
        client = self._client
        if client is None:
            raise Stopped
        key = f"{execution.stage.stage}-{terms.number}-{secrets.token_hex(4)}"
        try:
            return client.submit(work_there, execution, terms, key=key, pure=False, priority=-execution.turn)
        except Exception as error:
            self.check()
            raise self._gone(type(error).__name__) from error

    def open_box(self) -> tuple[str, queue.SimpleQueue[tuple[Kind, Any]]]:
        """Return a new number, and where messages about it come in."""
        number = secrets.token_hex(8)
        box: queue.SimpleQueue[tuple[Kind, Any]] = queue.SimpleQueue()
        self._boxes[number] = box
        return number, box

    def close_box(self, number: str) -> None:
        """Take no more messages about a number."""
        self._boxes.pop(number, None)

    def terms(self, execution: Execution, number: str) -> Terms:
        """Return what a worker has to agree with."""
        parts = execution.stage.parts(execution.arguments, execution.store.scans)
        return Terms(self._topic, number, software(), parts.version, parts.code, parts.packages)

    def check(self) -> None:
        """Raise what has ended the cluster, or Stopped where the run has ended it."""
        if self._closed.is_set():
            raise Stopped
        if self._broken:
            raise self._broken
        if self._local and self._local.has_ended:
            raise self._gone("none")

    def lost_touch(self) -> ClusterError:
        """Return the error for a scheduler that has ended, was restarted, or cannot be reached any more."""
        return self._gone("none any more, or one that was restarted")

    def _gone(self, found: str) -> ClusterError:
        where = self._address or "its processes"
        way_out = "Run again: what was finished is stored, and a training goes on after its last epoch."
        return ClusterError("workers", expected=f"a scheduler at {where}", found=found, way_out=way_out)

    def _start(self, imports: tuple[str, ...]) -> None:
        try:
            address, security = self._address, None
            if address is None:
                free = self._free()
                count = self._count or _fitting(free)
                if count > 1 and free // count < LEAST_MEMORY:
                    raise ClusterError(
                        "--workers",
                        expected=f"{amount(LEAST_MEMORY, 'bytes')} of memory for each",
                        found=f"{amount(free // count, 'bytes')}: {amount(free, 'bytes')} are free for {count}",
                        way_out="Start fewer workers.",
                    )
                local, self._places = Local(count, free), Places(count)
                with self._lock:
                    self._local = local
                if self._closed.is_set():
                    local.close()
                    return
                address, security = local.address(), local.security
            client = _connect(address, security)
            with self._lock:
                self._client = client
            if self._closed.is_set():
                _close_quietly(client)
                return
            client.subscribe_topic(self._topic, self._hear)
            if self._address:
                _look_at(client, self._address)
            if imports:
                client.run(import_early, imports)
            threading.Thread(target=self._watch, args=(client,), name="watch", daemon=True).start()
        except Exception as error:
            if not self._closed.is_set():
                self._broken = (
                    error if isinstance(error, ClusterError) else self._gone(f"{type(error).__name__} ({error})")
                )
        finally:
            self._ready.set()

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Hand a message to whoever waits for it; Dask's thread has no time for more."""
        message = event[1]
        if box := self._boxes.get(message["number"]):
            box.put((message["kind"], message))

    def _watch(self, client: Client) -> None:
        """Look whether there are workers, until the run has ended."""
        seen = time.monotonic()
        while not self._closed.wait(LOOK) and not self._broken:
            with suppress(Exception):  # the connection is gone: then every future is cancelled
                if client.scheduler_info(n_workers=0)["n_workers"]:
                    seen = time.monotonic()
            if time.monotonic() - seen > ABSENT:
                found = f"none for {ABSENT:.0f} s"
                way_out = "Start some and run again: what was finished is stored."
                self._broken = ClusterError("workers", expected="at least one", found=found, way_out=way_out)


class _Sent:
    """An execution that is somewhere else."""

    def __init__(self, cluster: Cluster, execution: Execution) -> None:
        self._cluster, self._execution = cluster, execution
        self._number, self._box = cluster.open_box()
        self._future: Future[Any] | None = None
        self._started = self._refused = 0

    def done(self, begin: Callable[[], None]) -> Done:
        """Send it, and wait for what it did. Raises: see `Executor.carry_out`."""
        cluster, execution = self._cluster, self._execution
        terms = cluster.terms(execution, self._number)
        self._send(terms)
        while True:
            try:
                kind, message = self._box.get(timeout=TICK)
            except queue.Empty:
                begin()
                cluster.check()
                continue
            match kind:
                case "begun":
                    self._begin_again()
                case "started" | "progress":
                    begin()
                    emit(event_of(message))
                case "ended":
                    cluster.check()
                    if (result := self._result()) is not None:
                        return self._settled(result)
                    self._send(terms)

    def forget(self) -> None:
        """Want nothing of it any more: what has not begun never will, and what is at work ends when it tells of it."""
        self._cluster.close_box(self._number)
        if self._future is not None:
            with suppress(Exception):
                self._future.cancel(force=True)
            self._future = None

    def _send(self, terms: Terms) -> None:
        box = self._box
        self._future = self._cluster.send(self._execution, terms)
        self._future.add_done_callback(lambda _: box.put(("ended", None)))

    def _begin_again(self) -> None:
        self._started += 1
        if self._started > 1:
            again = self._started - 1
            logger.warning("%s: its worker died, done again (%d)", self._execution.subject, again)

    def _result(self) -> Done | None:
        """Return what came back; None: it was only waiting on a worker that died, and is to be sent again."""
        from distributed.scheduler import KilledWorker

        future = self._future
        if future is None or future.status in {"cancelled", "lost"}:
            return self._left_behind()
        error: BaseException | None = future.exception(timeout=CONNECT) if future.status == "error" else None
        if isinstance(error, KilledWorker):
            self._refused += 1
            if self._started < ATTEMPTS and self._refused < ATTEMPTS:
                return None
            raise WorkerLost(
                self._execution.subject,
                expected="a worker that survives it",
                found=f"{max(self._started, ATTEMPTS)} workers killed (memory limit?)",
                way_out="Take a smaller batch or network, set training.memory, or start fewer workers.",
            )
        if error is not None:  # of Dask, or of a worker that cannot read what it is sent: no fault of what is tried
            raise ClusterError(
                self._execution.subject,
                expected="a worker that can begin it",
                found=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
                way_out="See that each worker has the same idxflow and the same packages, then run again.",
            )
        try:
            found = future.result(timeout=CONNECT)
        except Exception:  # Dask's own: what a stage raises comes back as a value
            return self._left_behind()
        if isinstance(found, Exception):
            raise found
        done: Done = found
        return done

    def _left_behind(self) -> Done:
        """Return what a worker had committed before it was gone with its answer. Raises: ClusterError: nothing."""
        if done := self._execution.stored():
            return done
        raise self._cluster.lost_touch()

    def _settled(self, done: Done) -> Done:
        """Return what was done; of what a worker had finished before it died, that it was computed."""
        if not (again := max(0, self._started - 1)):
            return done
        row, store = done.row, self._execution.store
        manifest = store.manifest(row.stage, row.version) if row.cached else None
        if manifest and manifest.run == self._execution.run:
            row = row.model_copy(update={"cached": False, "seconds": round(manifest.seconds, 4)})
        return replace(done, row=row, again=again)


def _fitting(free: int) -> int:
    return max(1, min(os.cpu_count() or 1, free // LEAST_MEMORY))


def _connect(address: str, security: Security | None) -> Client:
    """Connect to a scheduler, quietly. Raises: ClusterError: it does not answer."""
    import dask

    if "distributed" not in sys.modules:
        dask.config.set({"logging": QUIET})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import Client

        for name, level in QUIET.items():
            if name != "asyncio":
                logging.getLogger(name).setLevel(level.upper())
        try:
            return Client(address, timeout=CONNECT, security=security, set_as_default=False, name="idxflow")
        except Exception as error:
            raise ClusterError(
                f"--cluster {address}",
                expected=f"a Dask scheduler that answers within {CONNECT:.0f} s",
                found=type(error).__name__,
                way_out="See that it runs, that its port can be reached, and that both ends use TLS or neither does.",
            ) from error


def _look_at(client: Client, address: str) -> None:
    """See that workers are fit for a run. Raises: ClusterError: there are none, or one is not."""
    found = client.scheduler_info()["workers"]
    if not found:
        with suppress(Exception):
            client.wait_for_workers(1, timeout=CONNECT)
        found = client.scheduler_info()["workers"]
    way_out = "See docs/workers.md for how they are started."
    if not found:
        raise ClusterError(f"--cluster {address}", expected="at least one worker", found="none", way_out=way_out)
    if threads := next((each["nthreads"] for each in found.values() if each["nthreads"] != 1), 0):
        raise ClusterError(
            f"--cluster {address}",
            expected="workers of one thread",
            found=f"one of {threads}",
            way_out="Start them with `--nthreads 1`, and as many as there are cores with `--nworkers`.",
        )
    try:
        answers = client.run(unlike, software())
    except Exception as error:
        found_there = f"{type(error).__name__} ({error})"
        raise ClusterError(
            f"--cluster {address}", expected="workers with idxflow", found=found_there, way_out=way_out
        ) from error
    for worker, differs in answers.items():
        if differs:
            raise ClusterError(f"worker {worker}", expected="the software of the run", found=differs, way_out=way_out)


def _close_quietly(client: Client) -> None:
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.close(timeout=CLOSE)
