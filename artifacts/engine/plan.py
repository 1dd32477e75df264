"""What a run would do: the pipeline's graph walked over a store that answers, and computes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.index import RunIndex
from artifacts.archive.reasons import Change, explain, explain_unasked
from artifacts.current import CURRENT, Call
from artifacts.engine.tracing import committed
from artifacts.keys import references
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.stage import Stage
from artifacts.store.bundles import has_members
from artifacts.store.integrity import Damage
from artifacts.store.publishing import settle
from artifacts.store.store import Store
from schemas.events import Event
from schemas.needs import Needs
from schemas.parameters import Parameters

if TYPE_CHECKING:
    from artifacts.engine.execution import Done, Execution


class PlannedStage(BaseModel):
    """
    What a run would do about one artifact.

    Args:
        state:     cached: taken as it is. will run: computed. depends: on nothing but the content that the stages in
                   `waits_for` will have; it stays cached if that turns out to be what it was.
        version:   None while that is not known.
        changes:   why it will run.
    """

    model_config = ConfigDict(frozen=True)
    stage: str
    name: str
    state: Literal["cached", "will run", "depends"]
    version: str | None = None
    changes: tuple[Change, ...] = ()
    waits_for: tuple[str, ...] = ()


class Plan(BaseModel):
    """What a run would do, stage by stage, in the order of the graph."""

    model_config = ConfigDict(frozen=True)
    dataset: str
    stages: tuple[PlannedStage, ...] = Field(default=())
    held_out: str = Field(default="", description="which train rows are held out for validation, in words")
    needs: Needs = Field(default=Needs(), description="memory and disk that it takes to compute what is not cached")


@dataclass(frozen=True)
class Pending:
    """An artifact that has to be computed before anything is known of it."""

    subject: str


class Planning:
    """A run that computes nothing; see `artifacts.current.CurrentRun`."""

    def __init__(self, store: Store, refresh: Refresh, dataset: str) -> None:
        self.store, self.refresh, self.dataset = store, refresh, dataset
        self.dataset_id = ""
        self.id = self.flow_run = ""
        self._stages: list[PlannedStage] = []

    @cached_property
    def _index(self) -> RunIndex:
        index = RunIndex(self.store)
        index.update()
        return index

    @contextmanager
    def walking(self) -> Iterator[None]:
        """Let the stages that are called in this block plan instead of run."""
        token = CURRENT.set(self)
        try:
            yield
        finally:
            CURRENT.reset(token)

    @property
    def plan(self) -> Plan:
        """What has been found so far."""
        return Plan(dataset=self.dataset, stages=tuple(self._stages))

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Ref | Pending:
        """Look whether a stage would be computed. Returns: its artifact's reference, or that it is pending."""
        return self._submit(stage, arguments, stage.name_of(arguments))

    def seems_settled(self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str]) -> bool:
        """Tell whether bundles are committed, and nothing below them is to be rebuilt."""
        return not any(map(self.refresh.concerns, (stage.stage, *below))) and committed(self.store, stage, calls)

    def settled(
        self,
        stage: Stage,
        calls: Sequence[Mapping[str, Any]],
        below: Collection[str],
        event: Event,  # noqa: ARG002 - a plan tells nobody
    ) -> list[Ref] | None:
        """Look whether bundles are there with all their members; see `artifacts.current.CurrentRun`."""
        if any(map(self.refresh.concerns, (stage.stage, *below))):
            return None
        found, rows = list[Ref](), list[PlannedStage]()
        for arguments in calls:
            bound = stage.bind(**arguments)
            if any(_unknown(value) for value in bound.values()):
                return None
            version = stage.parts(bound, self.store.scans).version
            try:
                settle(self.store, stage.stage, version)
                stored = self.store.inspect(stage.stage, version)
            except Damage:
                return None
            if stored is None or not has_members(self.store, stored):
                return None
            rows.append(PlannedStage(stage=stage.stage, name=stage.name_of(bound), state="cached", version=version))
            found.append(stored.ref)
        self._stages += rows
        return found

    def try_all(self, calls: Sequence[Call], *_: Any) -> list[Ref | Pending]:
        """Look whether stages would be computed, under what the run calls them."""
        return [self._submit(call.stage, call.stage.bind(**call.arguments), call.called) for call in calls]

    def _submit(self, stage: Stage, arguments: dict[str, Any], name: str) -> Ref | Pending:
        arguments = stage.deciding(arguments)
        pending = [each.subject for value in arguments.values() for each in _pending(value)]
        found = None
        if pending:
            planned = self._wait(stage, name, arguments, pending)
        elif any(_unknown(value) for value in arguments.values()):
            changes = (Change(kind="unknown", subject=name),)
            planned = PlannedStage(stage=stage.stage, name=name, state="will run", changes=changes)
        else:
            found, planned = self._look(stage, name, arguments)
        self._stages.append(planned)
        return found or Pending(f"{stage.stage} {name}".strip())

    def reference(self, result: Ref | Pending) -> Ref | None:
        """Return the artifact that a stage's call told of; None where it has to be computed."""
        return result if isinstance(result, Ref) else None

    def perform(self, execution: Execution) -> Done:
        """Compute nothing. Raises: RuntimeError."""
        raise RuntimeError(f"{execution.stage.stage}: a plan computes nothing")

    def require(self, *_: Ref | Pending) -> None:
        """Wait for nothing: nothing is computed."""

    def publish(self, **facts: Any) -> None:
        """Keep nothing: a plan leaves no record."""

    def _wait(self, stage: Stage, name: str, arguments: dict[str, Any], pending: list[str]) -> PlannedStage:
        """Say what is known of a stage that takes an artifact of which nothing is known yet."""
        plain = {key: value for key, value in arguments.items() if not any(_pending(value)) and not references(value)}
        if any(map(_unknown, plain.values())):
            changes: tuple[Change, ...] = ()
        else:
            changes = explain_unasked(
                self.store, self._index, name, stage.parts(plain, self.store.scans), dataset=self.dataset_id
            )
        if reason := self.refresh.reason(stage.stage, name):
            changes = (Change(kind="refresh", subject=reason),)
        return PlannedStage(
            stage=stage.stage,
            name=name,
            state="will run" if changes else "depends",
            changes=changes,
            waits_for=tuple(dict.fromkeys(pending)),
        )

    def _look(self, stage: Stage, name: str, arguments: dict[str, Any]) -> tuple[Ref | None, PlannedStage]:
        """Look an artifact up whose key is known."""
        parts, refreshed = stage.parts(arguments, self.store.scans), self.refresh.reason(stage.stage, name)
        row = PlannedStage(stage=stage.stage, name=name, state="cached", version=parts.version)
        try:
            settle(self.store, stage.stage, parts.version)
            stored = None if refreshed else self.store.inspect(stage.stage, parts.version)
        except Damage as damage:
            changes: tuple[Change, ...] = (Change(kind="damaged", subject=str(damage)),)
        else:
            if stored:
                return stored.ref, row
            taken = stage.inputs(arguments)
            changes = explain(self.store, self._index, name, parts, taken, dataset=self.dataset_id, refreshed=refreshed)
        return None, row.model_copy(update={"state": "will run", "changes": changes})


def _unknown(value: object) -> bool:
    """Tell whether it is a parameter of which something is still to be found out."""
    return isinstance(value, Parameters) and not value.known


def _pending(value: object) -> Iterator[Pending]:
    match value:
        case Pending():
            yield value
        case list() | tuple():
            for item in value:
                yield from _pending(item)
        case dict():
            for item in value.values():
                yield from _pending(item)
