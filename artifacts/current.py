"""The run that code is part of, as far as stages, the graph and the choice of a data set need to know it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.store.store import Store

if TYPE_CHECKING:
    from artifacts.engine.execution import Done, Execution
    from artifacts.stage import Stage
    from schemas.events import Event


@dataclass(frozen=True)
class Call:
    """
    A call of a stage whose failure is an outcome.

    Args:
        arguments: by name, among them what other stages returned; see `Stage.bind`.
        called:    what the run calls it, and no other call of the stage: "trial 12".
    """

    stage: Stage
    arguments: Mapping[str, Any]
    called: str


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

    def seems_settled(self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str]) -> bool:
        """Tell whether `settled` may well find all of them; nothing is checked, and nothing else is asked."""

    def settled(
        self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str], event: Event
    ) -> Sequence[Any] | None:
        """
        Take bundles if all of them are there with all their members, whole; nothing is computed.

        Args:    calls: arguments by name, of each, without those that follow from them.  below: stages by which their
                        members come to be.
                 event: is emitted if all are there.
        Returns: of each as `submit`; None where members have to be looked for one by one, as one is not there, or is to
                 be rebuilt.
        """

    def try_all(self, calls: Sequence[Call], early: Sequence[Call] = (), /) -> Sequence[Any]:
        """
        Do executions beside each other, and wait for all of them; the run goes on with those that failed.

        Args:    early: calls that are asked for later in any case: a worker that has nothing else to do may begin them,
                        and nothing waits for them before they are among `calls`.
        Returns: in the order of the calls what was done, or the `StageError` by which it failed. Errors that are not of
                 that kind end the run as those of any stage.
        """

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
