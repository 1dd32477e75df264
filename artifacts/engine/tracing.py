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
    """
    See `artifacts.current.CurrentRun`; nothing is stored, and no stage leaves anything.

    Args: bundles: where bundles are looked for whose members then are not traced; None: nowhere.
    """

    id = flow_run = dataset = dataset_id = ""

    def __init__(self, bundles: Store | None = None) -> None:
        self._bundles = bundles
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

    def seems_settled(
        self,
        stage: Stage,
        calls: Sequence[Mapping[str, Any]],
        below: Collection[str],  # noqa: ARG002 - nothing is rebuilt
    ) -> bool:
        """Look into the store, if there is one."""
        return self._bundles is not None and committed(self._bundles, stage, calls)

    def settled(
        self,
        stage: Stage,
        calls: Sequence[Mapping[str, Any]],
        below: Collection[str],
        event: Event,  # noqa: ARG002 - nobody is told
    ) -> list[None] | None:
        """Have nothing, so that a graph is traced part by part; with a store, what is committed there, unlooked at."""
        return [None] * len(calls) if self.seems_settled(stage, calls, below) else None

    def try_all(self, calls: Sequence[Call], *_: Any) -> list[None]:
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


def committed(store: Store, stage: Stage, calls: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether what some calls would make is there; nothing is checked. Args: calls: arguments by name, of each."""
    versions = (stage.parts(stage.bind(**each), store.scans).version for each in calls)
    return all(store.is_committed(stage.stage, version) for version in versions)


def stages_of(graph: Callable[[], object]) -> dict[str, Stage]:
    """Return the stages that a graph calls, by name, in the order of their first calls."""
    return _traced(graph).stages


def calls_of(graph: Callable[[], object], bundles: Store | None = None) -> tuple[tuple[str, str], ...]:
    """Return what a graph calls, in order: the stage's name, and of what. Args: bundles: as of `Tracing`."""
    return tuple(_traced(graph, bundles).calls)


def _traced(graph: Callable[[], object], bundles: Store | None = None) -> Tracing:
    tracing = Tracing(bundles)
    token = CURRENT.set(tracing)
    try:
        graph()
    finally:
        CURRENT.reset(token)
    return tracing
