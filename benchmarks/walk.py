"""The pipeline's graph computed in this process, stage by stage, without Prefect: keys, checks, artifacts and all."""

from __future__ import annotations

import functools
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from artifacts.current import CURRENT
from artifacts.integrity import PLAIN_JSON
from artifacts.publishing import commit
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.stage import Stage
from artifacts.store import Store
from flows.dag import dag
from schemas.datasets import Dataset
from schemas.stages import STAGES, StageName
from schemas.summary import Summary
from schemas.training import Training


class _Reached(Exception):
    """The graph has come to the first stage that is not wanted."""


class Walk:
    """
    A run that takes from the store what is there, and computes the rest as soon as it is asked for.

    Args:
        upto:  the last stage that is wanted.
        anew:  stages that are computed though they are stored.
    Attributes:
        whole: by stage, the seconds of what was computed: inputs hashed, work done, files hashed, flushed, committed.
        own:   by stage, the seconds of the work alone.
        refs:  every artifact, in the order of the graph.
    """

    id, flow_run, dataset = "0" * 12, "", ""

    def __init__(self, store: Store, upto: StageName = "report", anew: tuple[StageName, ...] = ()) -> None:
        self.store, self.refresh = store, Refresh(anew)
        self._wanted = STAGES[: STAGES.index(upto) + 1]
        self.whole: dict[str, float] = defaultdict(float)
        self.own: dict[str, float] = defaultdict(float)
        self.refs: dict[tuple[str, str], Ref] = {}

    def through(self, data: Dataset, training: Training) -> Walk:
        """Walk the graph."""
        token = CURRENT.set(self)
        try:
            dag(data, training)
        except _Reached:
            pass
        finally:
            CURRENT.reset(token)
        return self

    def submit(self, stage: Stage, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """Take an artifact from the store, or make it; see `artifacts.current.CurrentRun`."""
        if stage.stage not in self._wanted:
            raise _Reached
        bound = stage.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        parts = stage.parts(bound.arguments)
        found = self.store.inspect(stage.stage, parts.version)
        anew = self.refresh.reason(stage.stage, "") is not None
        ref = found[0].ref if found and not anew else self._compute(stage, bound.arguments)
        self.refs[ref.stage, ref.name] = ref.at(self.store.folder(ref.stage, ref.version))
        return ref

    def _compute(self, stage: Stage, arguments: dict[str, Any]) -> Ref:
        started = time.perf_counter()
        ref = self._timed(stage).compute(self, arguments)
        folder = self.store.folder(ref.stage, ref.version)
        (folder / "result.json").write_text(json.dumps(ref.model_dump()))
        commit(self.store, ref.stage, ref.version, {"serializer": PLAIN_JSON, "prefect_version": ""})
        self.whole[stage.stage] += time.perf_counter() - started
        return ref

    def _timed(self, stage: Stage) -> Stage:
        """Return the same stage, its own work timed."""
        function: Callable[..., Summary] = stage.function

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Summary:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.own[stage.stage] += time.perf_counter() - started

        return Stage(timed, stage.stage, stage.name, stage.packages, stage.on_main_thread)
