"""The pipeline's graph computed in this process, stage by stage, without Prefect: keys, checks, artifacts and all."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from artifacts.current import CURRENT, Call
from artifacts.engine.execution import Done, Execution
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.stage import Stage
from artifacts.store.store import Store
from flows.dag import GRAPH, dag
from schemas.datasets import Dataset
from schemas.events import Event
from schemas.parameters import Summary
from schemas.training import Training


class _Reached(Exception):
    """The graph has come to the first stage that is not wanted."""


class Walk:
    """
    A run that takes from the store what is there, and computes the rest.

    Args:
        upto:    the last stage of the pipeline that is wanted; those of other graphs are all.
        rebuild:    stages that are computed though they are stored.
        threads: stages that may be computed at once. A run has 16; with one, no stage's time has another's in it.
    Attributes:
        whole:   by stage, the seconds of what was computed: inputs hashed, work done, files hashed, flushed, committed.
        own:     by stage, the seconds of the work alone.
        refs:    every artifact, in the order of the graph.
    """

    id, flow_run, dataset, dataset_id = "0" * 12, "", "", ""

    def __init__(self, store: Store, upto: str = "report", rebuild: tuple[str, ...] = (), threads: int = 1) -> None:
        self.store, self.refresh, self._threads = store, Refresh(rebuild), threads
        order = tuple(GRAPH)
        self._unwanted = order[order.index(upto) + 1 :]
        self._timing = threading.Lock()
        self.whole: dict[str, float] = defaultdict(float)
        self.own: dict[str, float] = defaultdict(float)
        self.refs: dict[tuple[str, str], Ref] = {}

    def through(self, data: Dataset, training: Training) -> Walk:
        """Walk the graph."""
        return self.over(lambda: dag(data, training))

    def over(self, graph: Callable[[], object]) -> Walk:
        """Walk a graph: a function that calls stages."""
        token, self._futures = CURRENT.set(self), list[Future[Ref]]()
        try:
            # First come, first served: what a stage waits for is at work or done before the stage has a thread.
            with ThreadPoolExecutor(self._threads) as self._pool, suppress(_Reached):
                graph()
        finally:
            CURRENT.reset(token)
        refs = [future.result() for future in self._futures]
        self.refs = {(ref.stage, ref.name): ref for ref in refs}
        return self

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Future[Ref]:
        """Take an artifact from the store, or make it; see `artifacts.current.CurrentRun`."""
        if stage.stage in self._unwanted:
            raise _Reached
        self._futures.append(self._pool.submit(copy_context().run, self._take, stage, arguments))
        return self._futures[-1]

    def perform(self, execution: Execution) -> Done:
        """Do the work of a stage."""
        return execution()

    def seems_settled(self, *_: Any) -> bool:
        """Have nothing."""
        return False

    def settled(self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str], event: Event) -> None:
        """Have nothing: each part is looked at."""

    def try_all(self, calls: Sequence[Call], *_: Any) -> list[Future[Ref]]:
        """Do what each call asks for; a failure is none that is an outcome."""
        return [self.submit(call.stage, call.stage.bind(**call.arguments)) for call in calls]

    def publish(self, **facts: Any) -> None:
        """Keep nothing: there is no record."""

    def require(self, *results: Future[Ref]) -> None:
        """Wait for artifacts."""
        for result in results:
            result.result()

    def reference(self, result: Future[Ref]) -> Ref:
        """Return an artifact that is there."""
        return result.result()

    def _take(self, stage: Stage, arguments: dict[str, Any]) -> Ref:
        arguments = {name: _awaited(value) for name, value in arguments.items()}
        rebuild = self.refresh.reason(stage.stage, "")
        started = time.perf_counter()
        done = Execution(self.store, self.id, self.flow_run, self._timed(stage), arguments, rebuild)()
        if not done.row.cached:
            self._note(self.whole, stage, started)
        return done.ref.at(self.store.folder(done.ref.stage, done.ref.version))

    def _timed(self, stage: Stage) -> Stage:
        """Return the same stage, its own work timed."""
        function: Callable[..., Summary] = stage.function

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Summary:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._note(self.own, stage, started)

        apart = stage.outside_key, stage.on_demand, stage.derived
        return Stage(timed, stage.stage, stage.name, stage.packages, stage.imports, stage.on_main_thread, *apart)

    def _note(self, times: dict[str, float], stage: Stage, started: float) -> None:
        with self._timing:
            times[stage.stage] += time.perf_counter() - started


def _awaited(value: Any) -> Any:
    """Put in an argument's futures what they come to."""
    match value:
        case Future():
            return value.result()
        case list():
            return [_awaited(item) for item in value]
        case dict():
            return {name: _awaited(item) for name, item in value.items()}
    return value
