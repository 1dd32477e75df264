"""Who carries out executions: threads of this process; or, in `artifacts.engine.cluster`, other processes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

from artifacts.engine.execution import Done, Execution
from artifacts.engine.places import Places

if TYPE_CHECKING:
    from artifacts.engine.companion import Companion


class Executor(Protocol):
    """What carries out the executions of one run. Whatever it is, the same artifacts come of it, to the bit."""

    def start(self, imports: Collection[str] = ()) -> None:
        """
        Get ready in the background for executions to come; where nothing has to be got ready, do nothing.

        Args: imports: modules that they will import.
        """

    def carry_out(self, execution: Execution, begin: Callable[[], None]) -> Done:
        """
        Take an artifact from the store or have it made, and wait for that; called from any number of threads.

        Its progress is emitted in this thread, or where the work is done in this process. Ctrl-C ends the waiting.

        Args:   begin: called before anything is computed, and again while it is waited for; raises where nobody wants
                the artifact any more.
        Raises: what the execution or `begin` raises; WorkerLost, ClusterError where it is done elsewhere.
        """

    def close(self) -> None:
        """End whatever was started, and what it still does: nothing of it is needed, or the run has ended."""


class Threads:
    """
    The thread that asks does it.

    Args:
        count:     how many executions compute at once; None: one of the main thread's kind (a training), all others.
        companion: a process that does those of the main thread's kind, as long as it lives.
    """

    def __init__(self, count: int | None = None, companion: Companion | None = None) -> None:
        self._companion = companion
        self._all = Places(count) if count else None
        self._dear = Places(1)

    def start(self, imports: Collection[str] = ()) -> None:
        """Do nothing: the flow imports ahead what it needs."""

    def carry_out(self, execution: Execution, begin: Callable[[], None]) -> Done:
        """Take the artifact from the store, or make it; see `Executor`."""
        places = self._all or (self._dear if execution.stage.on_main_thread else None)
        if places is None:
            return execution(begin)
        if done := execution.stored():
            return done
        with places.taken(execution.turn, begin):
            companion = self._companion if execution.stage.on_main_thread else None
            return (companion and companion.carry_out(execution, begin)) or execution(begin)

    def close(self) -> None:
        """End the companion; threads end with the flow's."""
        if self._companion:
            self._companion.close()
