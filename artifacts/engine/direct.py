"""
A run without Prefect: its stages are cached and its record is written as of any other, in a second less.

For what a person waits for at the console: it takes no server, and no dashboard shows it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from artifacts.current import Call
from artifacts.engine.execution import Done, Execution, as_references
from artifacts.engine.foreign import own_error
from artifacts.engine.run_log import ATTEMPTS, RunLog, logging_run
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.remote.opening import remote_place
from artifacts.stage import Stage
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, IdxflowError, StageError, StoreError
from schemas.remote import RemotePlace

logger = logging.getLogger("idxflow.run")
T = TypeVar("T")


class DirectRun(RunLog):
    """One run, whose stages are done one after the other where they are called; see `artifacts.current.CurrentRun`."""

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Done:
        """Do the work of a stage now; `arguments` by name, among them what other stages returned."""
        name = stage.name_of(arguments)
        self.place(stage.stage, name)
        bound = {each: as_references(value) for each, value in arguments.items()}
        rebuild = self.refresh.reason(stage.stage, name)
        return self.perform(Execution(self.store, self.id, self.flow_run, stage, bound, rebuild, remote=self.remote))

    def try_all(self, calls: Sequence[Call], *_: Any) -> list[Done | IdxflowError]:
        """Do executions one after the other whose failure is an outcome; see `artifacts.current.CurrentRun`."""
        return [self._try(call) for call in calls]

    def _try(self, call: Call) -> Done | IdxflowError:
        self.place(call.stage.stage, call.called)
        bound = {each: as_references(value) for each, value in call.stage.bind(**call.arguments).items()}
        rebuild = self.refresh.reason(call.stage.stage, call.called)
        try:
            return self.perform(
                Execution(
                    self.store,
                    self.id,
                    self.flow_run,
                    call.stage,
                    bound,
                    rebuild,
                    called=call.called,
                    optional=True,
                    remote=self.remote,
                )
            )
        except StageError as error:
            logger.warning("%s %s failed: %s", call.stage.stage, call.called, error)
            return error

    def perform(self, execution: Execution) -> Done:
        """Do the work of a stage, and note it. Raises: errors of our own; what ends the process."""
        try:
            done = execution(self._note_quietly)
        except Exception as error:
            failed = own_error(execution.subject, error)
        else:
            self.take(done)
            return done
        raise failed

    def reference(self, result: Done) -> Ref:
        """Return the artifact that a stage's call returned, bound to its files."""
        return result.ref.at(self.store.folder(result.ref.stage, result.ref.version))

    def require(self, *results: Any) -> None:
        """Wait for nothing: what was called has been done."""

    def attempt(self, body: Callable[[], T]) -> T:
        """
        Run a body, and again when an artifact turns out damaged: that one is then rebuilt.

        Raises: the first error of any stage.
        """
        for left in reversed(range(ATTEMPTS)):
            try:
                return body()
            except ArtifactDamaged:
                if not left:
                    raise
                self.settle_refreshed()
        raise RuntimeError("no attempt is left")

    def _note_quietly(self) -> None:
        try:
            self.note()
        except StoreError:  # the record that counts is the one of the end
            return


@contextmanager
def recording_directly(
    store: Store, *, dataset: str = "", dataset_id: str = "", remote: RemotePlace | None = None, **facts: Any
) -> Iterator[DirectRun]:
    """
    Record what the block around which it stands does, without Prefect.

    Args:
        dataset, dataset_id: as in the record.
        remote:              None: the one that the environment names, if any.
        facts:               what the record holds from its beginning.
    Yields: the run; `DirectRun.attempt` runs the body.
    Raises: as `artifacts.engine.recorder.recording`.
    """
    run = DirectRun(store, secrets.token_hex(6), "", Refresh(), dataset, remote=remote or remote_place())
    run.dataset_id = dataset_id
    run.publish(**facts)
    with logging_run(run):
        yield run
