"""
A companion: a process beside the run's, which does its trainings.

To import TensorFlow takes longer than all stages before training do, and a process imports one library at a time. The
companion imports it while the run imports Prefect and brings its data in. It takes one execution after the other, as a
Dask worker does, and tells how far it is; artifacts, checkpoints and messages are those of a run that trains itself.

The two talk by `multiprocessing`'s connections over a pair of sockets that have no name: nobody else can say a word. It
ends with the run, however that ends: it looks at a pipe that the run holds open. Where it has died the run trains
itself, after the last whole epoch.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from artifacts.engine.execution import Done, Execution
from artifacts.engine.foreign import own_error
from artifacts.engine.forwarding import Forwarding, event_of
from artifacts.engine.places import TICK
from schemas.events import emit, listening

GONE = (EOFError, OSError)
"""What is raised where the other end is gone, or died in the middle of a word."""
logger = logging.getLogger("idxflow.companion")


class Companion:
    """
    A companion, as the run sees it.

    Args:
        module: that it runs, which calls `serve`.
        told:   what it is told first; can be pickled.
    """

    def __init__(self, module: str, told: Any) -> None:
        ours, theirs = socket.socketpair()
        # Where this process finds its modules, and nowhere else: not in the working folder, as `-m` would.
        paths = os.pathsep.join(path for path in sys.path if path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": paths},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,
                stdout=sys.__stderr__ if _is_open(sys.__stderr__) else subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C of a terminal is the run's
            )
        self._wire = Connection(ours.detach())
        self._alone, self._closing = threading.RLock(), threading.Lock()
        self._closed = False
        self._first: tuple[Any] | None = None
        with suppress(*GONE):
            self._wire.send(told)

    def first(self, begin: Callable[[], None] = lambda: None) -> Any:
        """
        Return what it says first, once it has; None: it has ended without a word.

        Args: begin: called now and again; raises where nobody waits any more.
        """
        while not self._alone.acquire(timeout=TICK):  # whoever has it waits for the same
            begin()
        try:
            if self._first is None:
                self._first = (self._received(begin),)
            return self._first[0]
        finally:
            self._alone.release()

    def carry_out(self, execution: Execution, begin: Callable[[], None]) -> Done | None:
        """
        Have it make an artifact, and wait for that; its events and its log are emitted in this thread.

        Args:    begin: called now and again; raises where nobody wants the artifact any more, which ends it.
        Returns: None where it is gone, or is not fit for this: whoever asks does it.
        Raises:  what the execution or `begin` raises.
        """
        self.first(begin)
        with self._alone:
            if self._closed or self._process.poll() is not None:
                return None
            begin()
            try:
                ended = self._ended(execution, begin)
            except BaseException:
                self.close()
                raise
        if isinstance(ended, Exception):
            raise ended
        return ended

    def _ended(self, execution: Execution, begin: Callable[[], None]) -> Done | Exception | None:
        version = execution.stage.parts(execution.arguments, execution.store.scans).version
        try:
            self._wire.send((execution, version))
        except Exception as error:  # gone, or it cannot be pickled
            if not isinstance(error, GONE):
                return None
        while (message := self._received(begin)) is not None:
            kind, what = message
            match kind:
                case "event":
                    begin()
                    emit(event_of(what))
                case "log":
                    logging.getLogger(what.name).handle(what)
                case _:
                    ended: Done | Exception | None = what
                    return ended
        logger.warning("%s: the process that did it has died; it is done again in this one", execution.subject)
        self.close()
        return None

    def _received(self, begin: Callable[[], None]) -> Any:
        """Return the next thing that it says; None: it has ended."""
        with suppress(*GONE):
            while not self._wire.poll(TICK):
                begin()
            return self._wire.recv()
        return None

    def close(self) -> None:
        """End it at once, if it has not ended: what it was doing is as safe as after any kill."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            # Of one that was waited for the number may be somebody else's by now; its group is empty with it.
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        with self._alone:  # whoever listens to it hears that it is gone
            self._wire.close()
        if self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()


class Wire:
    """The companion's end. Args: number: of the file descriptor that it was given."""

    def __init__(self, number: int) -> None:
        self._connection = Connection(number)
        self._alone = threading.Lock()
        threading.Thread(target=_end_with_run, name="lifeline", daemon=True).start()

    def receive(self) -> Any:
        """Return what the run says; None where it is gone."""
        with suppress(*GONE):
            return self._connection.recv()
        return None

    def send(self, what: Any) -> None:
        """Say something that can be pickled."""
        with self._alone, suppress(*GONE):  # the run is gone: the lifeline ends this process
            self._connection.send(what)


def serve(wire: Wire) -> None:
    """Do one execution after the other until the run is gone."""
    while (sent := wire.receive()) is not None:
        execution, version = sent
        ended = _carried_out(execution, version, wire)
        try:
            wire.send(("ended", ended))
        except Exception as error:  # it cannot be pickled: what it says can
            wire.send(("ended", own_error(execution.subject, RuntimeError(f"{type(error).__name__} of {ended}"))))


def _carried_out(execution: Execution, version: str, wire: Wire) -> Done | Exception | None:
    """Carry out an execution. Returns: what it did, or its error; None: this process would make something else."""
    try:
        if execution.stage.parts(execution.arguments, execution.store.scans).version != version:
            return None
        with listening(Forwarding(lambda kind, **facts: wire.send(("event", {"kind": kind, **facts})))), _told(wire):
            return execution()
    except Exception as error:
        return own_error(execution.subject, error)


class _Telling(logging.Handler):
    """Sends what idxflow's loggers say to the run, whose log it is."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(logging.INFO)
        self._wire = wire

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self._wire.send(("log", record))


@contextmanager
def _told(wire: Wire) -> Iterator[None]:
    handler, root = _Telling(wire), logging.getLogger("idxflow")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def _end_with_run() -> None:
    """Wait until the run is gone, and end this process whatever it does."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGKILL)


def _is_open(stream: Any) -> bool:
    """Tell whether a stream leads somewhere."""
    try:
        return stream is not None and stream.fileno() >= 0
    except (OSError, ValueError):
        return False
