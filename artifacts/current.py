"""The run that code is part of, as far as stages, the graph and the choice of a data set need to know it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.store.store import Store

if TYPE_CHECKING:
    from artifacts.engine.execution import Done, Execution
    from artifacts.stage import Stage


class CurrentRun(Protocol):
    """
    A run under way; `artifacts.engine.recorder.Recorder` is the one that computes.

    Args:
        refresh:  what to rebuild.
        dataset:  name of the data set, once it is known.
        dataset_id: what tells it from another set of that name; see `schemas.datasets.Dataset`.
        id:       12 hexadecimal digits.
        flow_run: id of the Prefect flow run.
    """

    refresh: Refresh
    dataset: str
    dataset_id: str
    id: str
    flow_run: str

    @property
    def store(self) -> Store:
        """Where its artifacts are."""

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Any:
        """Start a stage; `arguments` by name, among them what other stages returned."""

    def perform(self, execution: Execution) -> Done:
        """Do the work of a stage, in whatever thread, and note what was done."""

    def reference(self, result: Any) -> Ref | None:
        """Return the artifact that a stage's call returned, once it is there, bound to its files."""

    def require(self, *results: Any) -> None:
        """
        Wait until stages have ended well, as what follows is too dear to begin in vain.

        Args: results: what their calls returned.
        """

    def publish(self, **facts: Any) -> None:
        """Put into the run's record what the flow itself has to say of it, each fact under its name."""


CURRENT: ContextVar[CurrentRun] = ContextVar("run")


def current_run() -> CurrentRun:
    """
    Return the run that this code is part of.

    Raises: RuntimeError: outside of a recorded flow.
    """
    try:
        return CURRENT.get()
    except LookupError:
        raise RuntimeError("Stages run inside a recorded flow; use `.function` without one.") from None
