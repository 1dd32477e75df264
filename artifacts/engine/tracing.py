"""A run that only notes which stages a graph calls, in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from artifacts.current import CURRENT, Call
from artifacts.engine.execution import Done, Execution
from artifacts.refresh import Refresh
from artifacts.stage import Stage
from artifacts.store.store import Store
from schemas.events import Event


class Tracing:
    """See `artifacts.current.CurrentRun`; nothing is stored, and no stage leaves anything."""

    id = flow_run = dataset = dataset_id = ""

    def __init__(self) -> None:
        self.refresh = Refresh()
        self.stages: dict[str, Stage] = {}
        self.calls: list[tuple[str, str]] = []

    @property
    def store(self) -> Store:
        """Raise RuntimeError: a graph that is traced has no place."""
        raise RuntimeError("a graph asks for no store while it is traced")

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> None:
        """Note a stage, and of what it is called."""
        self.stages.setdefault(stage.stage, stage)
        self.calls.append((stage.stage, stage.name_of(arguments)))

    def settled(self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str], event: Event) -> None:
        """Have nothing: a graph is traced part by part."""

    def try_all(self, calls: Sequence[Call]) -> list[None]:
        """Note stages, and what the run calls them."""
        for call in calls:
            self.stages.setdefault(call.stage.stage, call.stage)
            self.calls.append((call.stage.stage, call.called))
        return [None] * len(calls)

    def perform(self, execution: Execution) -> Done:
        """Compute nothing. Raises: RuntimeError."""
        raise RuntimeError(f"{execution.stage.stage} is traced only")

    def reference(self, result: Any) -> None:
        """Have nothing."""

    def require(self, *results: Any) -> None:
        """Wait for nothing."""

    def publish(self, **facts: Any) -> None:
        """Keep nothing."""


def stages_of(graph: Callable[[], object]) -> dict[str, Stage]:
    """Return the stages that a graph calls, by name, in the order of their first calls."""
    return _traced(graph).stages


def calls_of(graph: Callable[[], object]) -> tuple[tuple[str, str], ...]:
    """Return what a graph calls, in order: the stage's name, and of what."""
    return tuple(_traced(graph).calls)


def _traced(graph: Callable[[], object]) -> Tracing:
    tracing = Tracing()
    token = CURRENT.set(tracing)
    try:
        graph()
    finally:
        CURRENT.reset(token)
    return tracing
