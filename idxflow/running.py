"""A run in this process, for the command and for notebooks: environment, server, flow, and the record that is left."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from flows.run_record import RunRecord
from idxflow.cli.interrupts import held_back
from idxflow.server.connection import connect, temporary_server
from idxflow.server.environment import prepare_environment
from idxflow.server.faithful import is_gone
from idxflow.views.console import Console
from schemas.errors import IdxflowError, ServerError, StoreError, UnforeseenError
from schemas.remote import RemotePlace
from schemas.text import amount

if TYPE_CHECKING:
    from flows.job import Job

LEAST_FREE = 8 * 2**20
"""Free bytes on the home folder's disk below which an error counts as caused by a full disk."""

HEARTBEATS = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
"""How often a flow sends a heartbeat: only for a deployed one is it of use."""


class Flow(Protocol):
    """The main job; see `flows.pipeline.pipeline`."""

    def __call__(self, **parameters: Any) -> RunRecord:
        """Run it and return its record."""


class Runner:
    """
    Carries out a job in this process, on the server of the home folder, and shows what it does.

    Args:
        verbose:   show what libraries log and warn of.
        beside:    plan, import and train in a process beside this one, which is this command's alone.
        ephemeral: use a server that ends with this process.
        remote:    of the run; None: the one that the environment names, if any.
    Attributes:
        record: of the run, also of one that failed; None as long as none was written.
        password: the command that prints that server's password.
        stop:   the command that ends the server, if this run started one that stays.
    """

    def __init__(
        self,
        home: Path,
        console: Console,
        *,
        verbose: bool = False,
        beside: bool = False,
        ephemeral: bool = False,
        remote: RemotePlace | None = None,
    ) -> None:
        self.home, self.console, self.verbose, self.ephemeral = home, console, verbose, ephemeral
        self._beside = beside
        self._remote = remote
        self.record: RunRecord | None = None
        self.stop: str | None = None
        self.password: str | None = None

    def run(self, job: Callable[[], Job], flow: Flow | None = None) -> RunRecord:
        """
        Run the flow.

        Args:    job:  makes the job, the same each time that it is called.
                 flow: the main job, unless another one is given.
        Returns: the record of the run, which has completed.
        Raises:  what ended the run.
        """
        prepare_environment(self.home, verbose=self.verbose, ephemeral=self.ephemeral, remote=self._remote)
        fresh = "prefect" not in sys.modules
        try:
            with (
                self._with_companion(job, fresh and flow is None),
                self._without_warnings(),
                self.console.watching(verbose=self.verbose),
            ):
                with held_back():  # a server that is started has to be recorded, or it could not be stopped
                    connection = temporary_server() if self.ephemeral else connect(self.home, self.console)
                self.stop, self.password = (
                    (connection.stop, connection.password) if connection.started else (None, None)
                )
                with contextlib.ExitStack() as settled:
                    with self.console.doing("Prefect: its import, and its server's start"):
                        with held_back():  # an import drops Ctrl-C, or is left half done by it
                            if flow is None:
                                flow = _main_job(self.home, job)
                            else:
                                _import_engine()
                        if not fresh:
                            settled.enter_context(_environment_read(verbose=self.verbose))
                        connection.wait()
                    settled.enter_context(_without_heartbeats())
                    done = self.record = flow(**job().parameters)
        except Exception as error:
            if not is_gone():
                raise _full(self.home, error) or error from error
            done = self.record = self._told_by_record(error)
        finally:
            self.record = self.record or self._saved()
        return done

    @contextlib.contextmanager
    def _with_companion(self, job: Callable[[], Job], usable: bool) -> Iterator[None]:
        """
        Have the process beside this one for the block, which needs no Prefect to begin; see `flows.companion`.

        Not where Prefect is there already, so that nobody waits for its import: this process is a program's.
        """
        if not (self._beside and usable):
            yield
            return
        from flows.ahead import end_companion, start_companion

        asked = job()
        try:
            with held_back():  # one that is started has to be ended
                start_companion(self.home, asked, verbose=self.verbose)
            yield
        finally:
            end_companion(self.home, asked)

    def _without_warnings(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext() if self.verbose else warnings.catch_warnings(action="ignore")

    def _told_by_record(self, error: Exception) -> RunRecord:
        """
        Return the record of a run that completed after its server had ended.

        Raises: the error by which it failed; `error` itself where the record has no end.
        """
        record = self._saved()
        if record is None or record.state not in {"completed", "failed"}:
            raise error
        if record.state == "failed":
            raise _own(error) from error
        self.console.warn("Prefect's server ended before the run did: its dashboard does not show the run's end.")
        return record

    def _saved(self) -> RunRecord | None:
        """Return the record that the run left."""
        if (run := self.console.run_id) is None:
            return None
        try:
            return RunRecord.model_validate_json((self.home / "runs" / f"{run}.json").read_bytes())
        except (OSError, ValidationError):
            return None


def _main_job(home: Path, job: Callable[[], Job]) -> Flow:
    """Import the main job, and with it Prefect; then, while the run works, what its stages will need."""
    from flows.garbage import lasting
    from idxflow.later import grammar_later

    with lasting(), grammar_later():
        from flows.ahead import import_ahead
        from flows.pipeline import pipeline
    atexit.register(gc.freeze)  # or the interpreter's exit would collect once more
    if (asked := job()).workers.runner == "threads":
        import_ahead(home, asked)
    return pipeline


def _import_engine() -> None:
    """Import what every flow needs, and with it Prefect, for a flow that is imported when it is called."""
    from flows.garbage import lasting
    from idxflow.later import grammar_later

    with lasting(), grammar_later():
        importlib.import_module("artifacts.engine.recorder")
    atexit.register(gc.freeze)  # as of the main job


@contextlib.contextmanager
def _environment_read(*, verbose: bool) -> Iterator[None]:
    """
    Let Prefect take its settings from the environment again: it does so once, as it is imported.

    A notebook may have imported it before, or have run over another home folder. Prefect's lines go to its API and not
    to the console, unless verbose; our own loggers' lines too.
    """
    from prefect.context import get_settings_context, use_profile
    from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler

    theirs = [logging.getLogger(name) for name in ("", *logging.root.manager.loggerDict) if not name.startswith("idx")]
    handlers = {each for logger in theirs for each in logger.handlers if isinstance(each, PrefectConsoleHandler)}
    levels = {each: each.level for each in handlers if not verbose}
    ours, sender = logging.getLogger("idxflow"), APILogHandler()
    added = not any(isinstance(each, APILogHandler) for each in ours.handlers)
    with use_profile(get_settings_context().profile, include_current_context=False):
        for each in levels:
            each.setLevel(logging.CRITICAL)
        if added:
            ours.addHandler(sender)
        try:
            yield
        finally:
            ours.removeHandler(sender)
            for each, level in levels.items():
                each.setLevel(level)


@contextlib.contextmanager
def _without_heartbeats() -> Iterator[None]:
    """Send none unless configured: at a flow's end Prefect waits up to a second for the thread that sends them."""
    if HEARTBEATS in os.environ or "prefect" not in sys.modules:
        yield
        return
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def _own(error: BaseException) -> BaseException:
    """Return what ended the stages, where Prefect raised an error of its own while it reported that."""
    while isinstance(error, ServerError) and error.__context__ is not None:
        error = error.__context__
    return error


def _full(home: Path, error: Exception) -> StoreError | None:
    """Return the error for a full disk, where a library raised its own; None where there is space."""
    foreseen = isinstance(error, IdxflowError) and not isinstance(error, UnforeseenError)
    free = shutil.disk_usage(home).free if home.is_dir() else LEAST_FREE
    if foreseen or free >= LEAST_FREE:
        return None
    return StoreError(
        str(home),
        expected="space for artifacts and for Prefect's database",
        found=f"{amount(free, 'bytes')} left on its disk, and {type(error).__name__}",
        way_out="Free space, or choose another folder with --home.",
    )
