"""How a run fails: with the first error, at once, and without waiting for what is of no use any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from prefect.context import FlowRunContext
from prefect.futures import PrefectConcurrentFuture, PrefectFuture

from artifacts.engine.stopping import Stopped
from artifacts.engine.threads import StageThreads
from schemas.errors import ArtifactDamaged, IdxflowError
from schemas.events import Event, Progress, StageFailed, emit

GRACE = 0.3
"""Seconds that stages at work have to end in, once another one has failed."""


def has_ended(future: PrefectFuture[Any]) -> bool:
    """Tell whether a stage that was submitted has ended, without asking the API where it runs in this process."""
    if isinstance(future, PrefectConcurrentFuture):
        return future.wrapped_future.done()
    return future.state.is_final()


class Failures:
    """
    The errors of one attempt of a run, and whether one of them is the end of it.

    Damage is not: the run heals it and tries again.
    """

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._final: Future[None] = Future()

    @property
    def final(self) -> bool:
        """Whether a stage has failed for good."""
        return self._final.done()

    def clear(self) -> None:
        """Begin another attempt."""
        self.errors.clear()
        self._final = Future()

    def check(self) -> None:
        """Raise Stopped if a stage has failed for good: what has not begun then need not."""
        if self.final:
            raise Stopped

    def add(self, stage: str, name: str, error: BaseException) -> None:
        """Take the error of a stage, and tell the first one that is the end of the run."""
        with self._lock:
            self.errors.append(error)
            if self.final or isinstance(error, ArtifactDamaged):
                return
            self._final.set_result(None)
        if isinstance(error, IdxflowError):
            emit(StageFailed(stage, name, str(error)))

    def give_up(self) -> None:
        """Begin nothing more, and let the end of the flow wait for nothing that is at work."""
        with self._lock:
            if not self.final:
                self._final.set_result(None)
        _abandon()

    def await_all(self, results: Collection[Any]) -> None:
        """
        Wait for stages.

        Args:   results: what calls of stages returned.
        Raises: Stopped: one of them has failed, or any other stage for good.
        """
        futures = [future for future in results if isinstance(future, PrefectConcurrentFuture)]
        self.await_ends(futures)
        for future in (result for result in results if isinstance(result, PrefectFuture)):
            future.wait()  # of one that was not waited for the API is asked
            if not future.state.is_completed():
                raise Stopped

    def await_ends(self, futures: Iterable[PrefectConcurrentFuture[Any]]) -> None:
        """Wait for stages in whatever state they end. Raises: Stopped: a stage has failed for good."""
        waiting: set[Future[Any]] = {future.wrapped_future for future in futures}
        while waiting and not self.final:
            waiting = wait({*waiting, self._final}, return_when=FIRST_COMPLETED).not_done - {self._final}
        self.check()

    def settle(self, futures: Iterable[PrefectFuture[Any]]) -> bool:
        """
        Wait for every stage that was submitted; after a final failure only for a moment.

        Returns: whether all of them have ended. If not, the flow's end does not wait for them either.
        """
        ends, ended = time.monotonic() + GRACE, True
        for future in futures:
            future.wait(max(0.0, ends - time.monotonic()) if self.final else None)
            ended = ended and has_ended(future)
        if not ended:
            _abandon()
        return ended

    def interrupt(self, event: Event) -> None:
        """Raise Stopped where a stage tells how far it is, once another one has failed: a listener of events."""
        if isinstance(event, Progress):
            self.check()


def _abandon() -> None:
    """Let the end of this flow wait for none of its threads."""
    context = FlowRunContext.get()
    if context and isinstance(context.task_runner, StageThreads):
        context.task_runner.abandoned = True
