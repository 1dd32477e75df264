"""Everything about one run: its record, what has become of its artifacts, and what keeps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from rich.text import Text

from artifacts.archive.name_records import ArtifactPin
from artifacts.archive.names import Names
from artifacts.archive.runs import RunState, state_of
from artifacts.run_record import StageRecord
from artifacts.store.integrity import Damage
from artifacts.store.store import Store
from flows.run_record import RunRecord, Score
from idxflow.views.console import CAVEAT, Console
from idxflow.views.sheet import print_fact
from idxflow.views.summary import short_path
from idxflow.views.tables import below, shown_version, table_lines
from idxflow.views.times import local_time, time_taken
from schemas.held_out import HeldOut
from schemas.results import REPORT, Caveat, unsaid
from schemas.text import amount, duration, share
from schemas.training import MODEL, PROFILES, Training

INDENT = 12
"""Columns before what stands below the row of a stage."""


class StageFacts(BaseModel):
    """
    A stage of a run, and what has become of its artifact.

    Args:
        reason: why it was computed; empty when cached.
        store:  whether the artifact is still there and, as far as a quick check tells, what it was.
        damage: what is wrong with it.
    """

    model_config = ConfigDict(frozen=True)
    stage: str
    name: str
    version: str
    cached: bool
    reason: str
    seconds: float
    bytes: int
    store: Literal["there", "gone", "damaged"]
    damage: str | None


class Setting(BaseModel):
    """A value of the configuration, and that of the profile."""

    model_config = ConfigDict(frozen=True)
    name: str
    value: JsonValue
    profile: JsonValue

    @property
    def changed(self) -> bool:
        """Whether the run had another value than its profile."""
        return self.value != self.profile


class RunFacts(BaseModel):
    """What `idxflow show` tells of a run; paths are those of the store as it lies now."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["run"] = "run"
    id: str
    state: RunState
    started: str = Field(description="UTC, ISO 8601")
    seconds: float | None = Field(description="since its start while it is running; None when it was killed")
    dataset: str
    profile: str
    configuration: tuple[Setting, ...] = Field(description="those that differ from the profile first")
    stages: tuple[StageFacts, ...]
    metrics: dict[str, Score]
    caveats: tuple[Caveat, ...] = Field(description="what voids or weakens the test accuracy")
    held_out: HeldOut | None = Field(description="of the train rows; None where the run did not complete")
    warnings: tuple[str, ...]
    error: str | None
    model: Path | None = Field(description="None where it is not in the store")
    report: Path | None = Field(description="None where it is not in the store")
    record: Path
    dashboard: str | None
    flow_run: str
    aliases: tuple[str, ...] = Field(description="of its artifacts, as `name of stage/version`")
    pins: tuple[str, ...] = Field(description="of itself and of its artifacts, with their notes")


def _usual(profile: str) -> dict[str, Any]:
    """Return the configuration of a profile; of an unknown one none."""
    return Training.model_validate({"profile": profile}).model_dump(mode="json") if profile in PROFILES else {}


def run_facts(store: Store, record: RunRecord, now: datetime) -> RunFacts:
    """Gather everything about a run."""
    state = state_of(store, record)
    given = {name: value for name, value in record.training.items() if name not in Training.outside_key}
    profile = _usual(record.profile)  # a newer idxflow may know other names
    settings = [Setting(name=name, value=value, profile=profile.get(name)) for name, value in given.items()]
    made = {(row.stage, row.version) for row in record.stages}
    names = Names(store)
    return RunFacts(
        id=record.id,
        state=state,
        started=record.started,
        seconds=time_taken(record, state, now),
        dataset=record.dataset,
        profile=record.profile,
        configuration=tuple(sorted(settings, key=lambda setting: not setting.changed)),
        stages=tuple(_stage_facts(store, row) for row in record.stages),
        metrics=record.metrics,
        caveats=record.caveats,
        held_out=record.held_out,
        warnings=record.warnings,
        error=record.error,
        model=_place(store, record, "train", MODEL),
        report=_place(store, record, "report", REPORT),
        record=store.runs / f"{record.id}.json",
        dashboard=record.dashboard,
        flow_run=record.flow_run,
        aliases=tuple(
            f"{alias.name} of {'/'.join(alias.artifact)}"
            for alias in names.aliases()
            if alias.artifact and alias.artifact in made
        ),
        pins=tuple(
            pin.subject + (f": {pin.note}" if pin.note else "")
            for pin in names.pins()
            if ((pin.stage, pin.version) in made if isinstance(pin, ArtifactPin) else pin.run == record.id)
        ),
    )


def print_run(console: Console, facts: RunFacts) -> None:
    """Print a run's page."""
    took = "" if facts.seconds is None else f" {'for' if facts.state == 'running' else 'in'} {duration(facts.seconds)}"
    print_fact(console, "Run", f"{facts.id}: {facts.state}{took}")
    print_fact(console, "Started", local_time(facts.started, seconds=True))
    print_fact(console, "Data set", facts.dataset or "not chosen yet")
    for split, score in sorted(facts.metrics.items(), reverse=True):
        print_fact(console, f"{split.capitalize()} accuracy", f"{share(score.accuracy)} (loss {score.loss:.4f})")
    for caveat in facts.caveats:
        print_fact(console, CAVEAT, caveat.message)
    if facts.held_out:
        print_fact(console, "Held out", str(facts.held_out))
    for label, value in _places(facts):
        print_fact(console, label, value)
    if facts.error:
        print_fact(console, "Error", facts.error)
    for warning in unsaid(facts.warnings, facts.caveats):
        print_fact(console, "Warning", warning)
    console.line(Text(f"\nConfiguration: the {facts.profile} profile", "bold"))
    wide = max((len(_value(setting.value)) for setting in facts.configuration if setting.changed), default=0)
    for setting in facts.configuration:
        mark = f"  in the profile: {_value(setting.profile)}" if setting.changed else ""
        line = Text(f"  {setting.name:20} {_value(setting.value):{wide}}{mark}".rstrip())
        console.line(Text.assemble(line, style="yellow") if setting.changed else line)
    if facts.stages:
        cached = sum(stage.cached for stage in facts.stages)
        states = Counter(stage.store for stage in facts.stages if stage.store != "there")
        rest = ", ".join(f"{count} {state}" for state, count in states.items()) or "all in the store"
        counts = f"{cached} cached, {len(facts.stages) - cached} computed; {rest}"
        console.line(Text(f"\nStages: {counts}", "bold"))
        for line in _stage_lines(facts, console.width):
            console.line(line)


def _stage_facts(store: Store, row: StageRecord) -> StageFacts:
    damage = None
    try:
        there = store.inspect(row.stage, row.version) is not None
    except Damage as found:
        there, damage = False, str(found)
    return StageFacts(
        **row.model_dump(exclude={"path"}), store="there" if there else "damaged" if damage else "gone", damage=damage
    )


def _place(store: Store, record: RunRecord, stage: str, file: str) -> Path | None:
    """Return the path of a file of a completed run, if it is there. (The record's own path is of its time.)"""
    paths = [store.folder(stage, row.version) / file for row in record.stages if row.stage == stage]
    return paths[-1] if paths and paths[-1].is_file() else None


def _places(facts: RunFacts) -> Iterator[tuple[str, str]]:
    for label, path in (("Model", facts.model), ("Report", facts.report), ("Record", facts.record)):
        if path:
            yield label, short_path(path)
    if facts.dashboard:
        yield "Dashboard", facts.dashboard
    for alias in facts.aliases:
        yield "Alias", alias
    for pin in facts.pins:
        yield "Pin", pin


def _stage_lines(facts: RunFacts, width: int | None) -> Iterator[Text]:
    """Yield the table of stages; below a stage stands why it was computed, and what has become of its artifact."""
    header, *lines = table_lines(
        ("stage", "of", "state", "time", "size", "version"),
        [
            (
                Text(stage.stage, "bold"),
                stage.name,
                Text("cached" if stage.cached else "computed", "cyan" if stage.cached else "green"),
                duration(stage.seconds),
                amount(stage.bytes, "bytes"),
                Text(shown_version(stage.version, width), "dim"),
            )
            for stage in facts.stages
        ],
        right=("time", "size"),
    )
    yield header
    for line, stage in zip(lines, facts.stages, strict=True):
        yield line
        yield from below(stage.reason, INDENT, width)
        if stage.store != "there":
            yield from below(
                f"damaged: {stage.damage}" if stage.damage else "gone from the store", INDENT, width, "red"
            )


def _value(value: JsonValue) -> str:
    """Return a value of the configuration as `--set` takes it."""
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
