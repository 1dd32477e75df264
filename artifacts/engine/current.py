"""The run that code is part of, as far as stages, the graph and the choice of a data set need to know it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from artifacts.engine.refresh import Refresh
from artifacts.ref import Ref
from artifacts.store.store import Store


class CurrentRun(Protocol):
    """
    A run under way; `artifacts.engine.run.Run` is the one.

    Args:
        store:    where its artifacts are.
        refresh:  what to compute anew.
        dataset:  name of the data set, once it is known.
        dataset_id: what tells it from another set of that name; see `schemas.datasets.Dataset`.
        id:       12 hexadecimal digits.
        flow_run: id of the Prefect flow run.
    """

    store: Store
    refresh: Refresh
    dataset: str
    dataset_id: str
    id: str
    flow_run: str

    def submit(self, stage: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start a stage."""

    def reference(self, result: Any) -> Ref | None:
        """Return the artifact that a stage's call returned, once it is there, bound to its files."""

    def require(self, *results: Any) -> None:
        """
        Wait until stages have ended well, as what follows is too dear to begin in vain.

        Args: results: what their calls returned.
        """


@dataclass(frozen=True)
class Outcome:
    """What a recorded flow's body returns: the artifacts that a person asks for first."""

    scores: Any
    model: Any
    report: Any


CURRENT: ContextVar[CurrentRun] = ContextVar("run")


def current_run() -> CurrentRun:
    """
    Return the run that this code is part of.

    Raises: RuntimeError: outside of a recorded flow.
    """
    try:
        return CURRENT.get()
    except LookupError:
        raise RuntimeError("Stages run inside a flow decorated with `recorded`; use `.function` without one.") from None
