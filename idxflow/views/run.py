"""Runs: the list of them, the page of one, and the summary that closes one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from rich.text import Text

from artifacts.archive.name_records import ArtifactPin
from artifacts.archive.names import Names
from artifacts.archive.runs import RunState, state_of
from artifacts.manifest import Manifest
from artifacts.run_record import StageRecord
from artifacts.store.integrity import Damage
from artifacts.store.store import Store
from flows.differing import as_assigned, usual
from flows.many import grouped, name_in, shown
from flows.parts import PARSE, rows_of
from flows.run_record import RunRecord, Score, StudyFacts
from idxflow.comparing.studies import STAGE, FoundStudy, find_study
from idxflow.listing.rows import time_taken
from idxflow.views.console import CAVEAT, Console
from idxflow.views.layout import below, local_time, present, short_path, shown_version, table_lines
from idxflow.views.stages import STYLES
from idxflow.views.study import print_trials, study_rows
from schemas.counts import counted
from schemas.errors import IdxflowError
from schemas.held_out import HeldOut
from schemas.image_spec import ImageSpec
from schemas.model import MODEL
from schemas.results import METRICS, REPORT, Caveat, Metrics, unsaid
from schemas.scoring import Scored
from schemas.source import FILES
from schemas.text import amount, duration, share, span
from schemas.training import Training
from schemas.tuning import BEST, PAGE, TRIAL, WINNER
from schemas.verdict import Promotion

INDENT = 12
"""Columns before what stands below the row of a stage."""


class StageFacts(BaseModel):
    """
    A stage of a run, and the state of its artifact.

    Args:
        reason: why it was computed; empty when cached.
        store:  whether the artifact is still there and passes a quick check.
        damage: what is wrong with it.
    """

    model_config = ConfigDict(frozen=True)
    stage: str
    name: str
    version: str
    cached: bool
    fetched: str = Field(description="address of the remote that the run took it from; empty: of none")
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
    """What `idxflow show` shows of a run; paths are those of the store as it is now."""

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
    promotion: Promotion | None = Field(description="of the alias that the model was to take")
    warnings: tuple[str, ...]
    error: str | None
    model: Path | None = Field(description="None where it is not in the store")
    report: Path | None = Field(description="None where it is not in the store")
    scored_by: str = Field(default="", description="of a run that named new images: the run whose model did")
    scored: dict[str, Scored] = Field(default_factory=dict, description="of such a run: what was named, by place")
    study: StudyFacts | None = Field(default=None, description="of a run that tuned: what was found")
    best_trials: FoundStudy | None = Field(default=None, exclude=True, description="that study, where it is stored")
    corrected: tuple[str, ...] = Field(
        description="how many labels a person has corrected, and in which file, by split"
    )
    record: Path
    dashboard: str | None
    flow_run: str
    aliases: tuple[str, ...] = Field(description="of its artifacts, as `name of stage/version`")
    pins: tuple[str, ...] = Field(description="of itself and of its artifacts, with their notes")
    unknown: dict[str, JsonValue] = Field(description="fields of the record that only another version of idxflow knows")


def run_facts(store: Store, record: RunRecord, now: datetime) -> RunFacts:
    """Gather everything about a run."""
    state = state_of(store, record)
    given = {name: value for name, value in record.training.items() if name not in Training.outside_key}
    profile = usual(record.profile)
    settings = [Setting(name=name, value=value, profile=profile.get(name)) for name, value in given.items()]
    made = {(row.stage, row.version) for row in record.stages}
    names = Names(store)
    own = {
        "state": state,
        "seconds": time_taken(record, state, now),
        "configuration": sorted(settings, key=lambda setting: not setting.changed),
        "stages": [_stage_facts(store, row) for row in record.stages],
        "model": place_of(store, record, "train", MODEL, WINNER if record.tuned else ""),
        "report": place_of(store, record, "report", REPORT),
        **_study(store, record),
        "corrected": tuple(_corrected([store.folder(row.stage, row.version) for row in _tables(record)])),
        "record": store.runs / f"{record.id}.json",
        "aliases": [
            f"{alias.name} of {'/'.join(alias.artifact)}"
            for alias in names.aliases()
            if alias.artifact and alias.artifact in made
        ],
        "pins": [
            pin.subject + (f": {pin.note}" if pin.note else "")
            for pin in names.pins()
            if ((pin.stage, pin.version) in made if isinstance(pin, ArtifactPin) else pin.run == record.id)
        ],
    }
    return RunFacts.model_validate(record.model_dump() | own | {"unknown": record.model_extra or {}})


def _study(store: Store, record: RunRecord) -> dict[str, Any]:
    """Return what a run that tuned found: its facts with the paths of now, and the study where it is stored."""
    if record.study is None:
        return {}
    moved = {"page": PAGE, "best": BEST}
    here = {field: str(place_of(store, record, STAGE, file) or "") for field, file in moved.items()}
    found = None
    with suppress(IdxflowError, ValidationError):  # cleaned up, or damaged since: the facts are there
        found = find_study(store, record)
    return {"study": record.study.model_copy(update=here), "best_trials": found}


def print_run(console: Console, facts: RunFacts) -> None:
    """Print a run's page."""
    took = "" if facts.seconds is None else f" {'for' if facts.state == 'running' else 'in'} {duration(facts.seconds)}"
    console.paragraph("Run", f"{facts.id}: {facts.state}{took}")
    console.paragraph("Started", local_time(facts.started, seconds=True))
    console.paragraph("Data set", facts.dataset or "not chosen yet")
    rows = present(
        *_figures(facts),
        ("Scored by", facts.scored_by and f"the model of run {facts.scored_by}"),
        *(("Scored", _scored(place, scored)) for place, scored in facts.scored.items()),
        ("Held out", facts.held_out),
        *(("Corrected", told) for told in facts.corrected),
        ("Model", facts.model),
        ("Report", facts.report),
        *(study_rows(facts.study) if facts.study else ()),
        ("Record", facts.record),
        ("Dashboard", facts.dashboard),
        *(("Alias", alias) for alias in facts.aliases),
        *(("Pin", pin) for pin in facts.pins),
        ("Error", facts.error),
        *(("Warning", warning) for warning in unsaid(facts.warnings, facts.caveats)),
        *(("Unknown", f"{name}: {as_assigned(value)}") for name, value in facts.unknown.items()),
    )
    for label, value in rows:
        console.paragraph(label, value)
    if not facts.scored_by:
        console.line(Text(f"\nConfiguration: the {facts.profile} profile", "bold"))
    wide = max((len(as_assigned(setting.value)) for setting in facts.configuration if setting.changed), default=0)
    for setting in facts.configuration:
        mark = f"  in the profile: {as_assigned(setting.profile)}" if setting.changed else ""
        line = Text(f"  {setting.name:20} {as_assigned(setting.value):{wide}}{mark}".rstrip())
        console.line(Text.assemble(line, style="yellow") if setting.changed else line)
    if facts.best_trials:
        print_trials(console, facts.best_trials)
    if facts.stages:
        cached = sum(stage.cached for stage in facts.stages)
        states = Counter(stage.store for stage in facts.stages if stage.store != "there")
        rest = ", ".join(f"{count} {state}" for state, count in states.items()) or "all in the store"
        counts = f"{cached} cached{_from_remote(facts.stages)}, {len(facts.stages) - cached} computed; {rest}"
        console.line(Text(f"\nStages: {counts}", "bold"))
        trials = sum(stage.name.startswith(TRIAL) for stage in facts.stages)
        console.lines(_stage_lines(facts, console.width))
        if trials:
            console.line(Text(f"{counted(trials, 'training')} of trials not listed: --json has them", "dim"))


def print_summary(
    console: Console,
    record: RunRecord,
    home: Path,
    stop_server: str | None = None,
    *,
    password: str | None = None,
    whole: bool = False,
    entered: float | None = None,
) -> None:
    """
    Print what a run did, its warnings that have scrolled out of view before the figures, its report last.

    Args:
        stop_server: the command that stops the server which this run started, if it did.
        password:    the command that prints the password of that server's dashboard.
        whole:       print also what `idxflow show` has: rows, first labels, model and record.
        entered:     when the command was started, on the console's clock; None: only the run's own time is told.
    """
    cached = sum(stage.cached for stage in record.stages)
    counts = f"{cached} cached{_from_remote(record.stages)}, {len(record.stages) - cached} computed"
    folders = {(stage.stage, stage.name): Path(stage.path) for stage in record.stages}
    done = record.state == "completed" and ("evaluate", "") in folders
    console.line()
    for warning in unsaid(record.warnings, record.caveats):
        console.remind(warning)
    details = present(
        ("Artifacts", f"{counted(len(record.stages), 'stage')}: {counts}"),
        ("Files", done and _files(record)),
        *(_first_rows(record, folders, home) if done and whole else ()),
        ("Held out", done and whole and record.held_out),
        *(("Corrected", told) for told in _corrected([Path(row.path) for row in _tables(record)])),
    )
    took = _took(console, record, entered)
    seed = f", seed {record.seed}" if whole else ""
    console.told("Run", f"{record.dataset}, {record.profile} profile{seed}: {record.state} {took}")
    for label, value in details:
        if whole or label != "Artifacts" or 0 < cached < len(record.stages) or not done:
            console.told(label, value)
    for label, value in _figures(record) if done or record.promotion else ():
        # How many to leave to a person, and what is right of the rest, is in the report.
        console.told(label, value if whole or label != "Calibration" else value.partition(", ")[0])
    for label, place in study_rows(record.study) if record.study else ():
        console.fact(label, place)
    for label, place in present(
        ("Model", whole and record.model and Path(record.model)),
        ("Record", (whole or not done) and home / "runs" / f"{record.id}.json"),
    ):
        console.place(label, place)
    if record.dashboard:
        console.place("Dashboard", record.dashboard, record.dashboard, f"password: {password}" if password else "")
    if stop_server and whole:
        console.fact("Stop the server", stop_server)
    if record.report:
        report = Path(record.report)
        console.place("Report", short_path(report), report.absolute().as_uri())


def _took(console: Console, record: RunRecord, entered: float | None) -> str:
    """Say how long it took: since Enter, and how much of it went before the run began."""
    when = "in" if record.state == "completed" else "after"
    if entered is None or console.began is None:
        return f"{when} {duration(record.seconds)}"
    whole, starting = duration(console.time() - entered), duration(console.began - entered)
    if "min" not in whole and "h" not in whole:  # both are in seconds
        starting = starting.removesuffix(" s")
    return f"{when} {whole}, {starting} of it to start"


def _first_rows(record: RunRecord, folders: Mapping[tuple[str, str], Path], home: Path) -> Iterator[tuple[str, str]]:
    """Yield the figures by which the tutorial looks at its data: rows, columns, first labels and predictions."""
    with suppress(OSError, ValidationError):  # deleted since: the run did complete
        metrics = Metrics.model_validate_json((folders["evaluate", ""] / METRICS).read_bytes())
        (table, *_) = rows_of(Store(home, create=False), record.stages, PARSE, "train")
        summary = Manifest.model_validate_json((Path(table.path) / "manifest.json").read_bytes()).summary
        yield "Train rows", _rows(metrics, ImageSpec.model_validate(summary["shape"]))
        yield "First 3 labels", _labels(metrics)


def _scored(place: str, scored: Scored) -> str:
    """Say in a line what was named at a place."""
    refused = sum(scored.refused.values())
    more = f", {counted(refused, 'file', ',')} refused" if refused else ""
    return f"{counted(scored.images, 'image', ',')} of {place}{more}; drift: {scored.words}"


def _figures(run: RunFacts | RunRecord) -> Iterator[tuple[str, str]]:
    """Yield the accuracy of both splits, train first, what voids or weakens it, and how sure the model may be."""
    for split, score in sorted(run.metrics.items(), reverse=True):
        interval = f", 95 % interval {span(score.interval)}" if score.interval and split == "test" else ""
        yield f"{split.capitalize()} accuracy", f"{share(score.accuracy)} (loss {score.loss:.4f}){interval}"
    for caveat in run.caveats:
        yield CAVEAT, caveat.message
    if (test := run.metrics.get("test")) and test.calibration:
        yield "Calibration", test.calibration
    if run.promotion:
        yield "Promotion", run.promotion.line


def _files(record: RunRecord) -> str | None:
    """Say what became of the files of a place that was packed; None of other sets."""
    for stage in record.stages:
        if stage.stage == "pack":
            with suppress(OSError, ValidationError):
                packed = Manifest.model_validate_json((Path(stage.path) / "manifest.json").read_bytes()).summary
                unused = sum(packed["unused"].values())
                rest = f"; {unused:,} not, as {FILES} says" if unused else ""
                return f"{counted(packed['files'], 'file', ',')}: {packed['used']:,} used{rest}"
    return None


def _tables(record: RunRecord) -> list[StageRecord]:
    """Return the rows of the parsed splits, train first."""
    return sorted((row for row in record.stages if row.stage == "parse"), key=lambda row: row.name != "train")


def _corrected(tables: Sequence[Path]) -> Iterator[str]:
    """Yield what the manifests of parsed splits, in these folders, say of corrected labels."""
    for folder in tables:
        with suppress(OSError, ValidationError):  # cleaned up since
            manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
            if told := manifest.summary.get("corrected"):
                yield str(told)


def _rows(metrics: Metrics, shape: ImageSpec) -> str:
    pixels = f"columns: {shape.pixels} ({shape.words})"
    return f"{metrics.train.samples}, {pixels}; test rows: {metrics.test.samples}"


def _labels(metrics: Metrics) -> str:
    train = metrics.train
    labels, guesses = (
        ", ".join(train.classes[label].name for label in each) for each in (train.first_labels, train.first_predictions)
    )
    return f"{labels}; predictions: {guesses}"


def _stage_facts(store: Store, row: StageRecord) -> StageFacts:
    damage = None
    try:
        there = store.inspect(row.stage, row.version) is not None
    except Damage as found:
        there, damage = False, str(found)
    return StageFacts(
        **row.model_dump(exclude={"path"}), store="there" if there else "damaged" if damage else "gone", damage=damage
    )


def place_of(store: Store, record: RunRecord, stage: str, file: str, of: str = "") -> Path | None:
    """
    Return the path of a file of a completed run, if it is there. (The record's own path is of its time.)

    Args: of: how the name begins of the first one that is meant, where the run has several.
    """
    rows = [row for row in record.stages if row.stage == stage and row.name.startswith(of)]
    paths = [store.folder(stage, row.version) / file for row in (rows[:1] if of else rows[-1:])]
    return paths[0] if paths and paths[0].is_file() else None


def _from_remote(stages: Sequence[StageFacts | StageRecord]) -> str:
    """Say how many of a run's stages it took from a remote, and from which; nothing where it took none."""
    fetched = [stage.fetched for stage in stages if stage.fetched]
    return f" ({len(fetched)} of them from {', '.join(dict.fromkeys(fetched))})" if fetched else ""


def _stage_lines(facts: RunFacts, width: int | None) -> Iterator[Text]:
    """
    Yield the table of stages; below a stage, why it was computed, and whether its artifact is gone or damaged.

    Those of a sweep's trials, which are many, are left out.
    """
    groups = grouped(stage for stage in facts.stages if not stage.name.startswith(TRIAL))
    rows = [shown(group) for group in groups]
    header, *lines = table_lines(
        ("stage", "of", "state", "time", "size", "version"),
        [
            (
                Text(stage.stage, "bold"),
                stage.name,
                Text(state := "cached" if stage.cached else "computed", STYLES[state]),
                duration(stage.seconds),
                amount(stage.bytes, "bytes"),
                Text(shown_version(stage.version, width), "dim"),
            )
            for stage in rows
        ],
        right=("time", "size"),
    )
    yield header
    for line, row, group in zip(lines, rows, groups, strict=True):
        yield line
        yield from below(row.reason, INDENT, width)
        for stage in group:
            if stage.store != "there":
                told = f"damaged: {stage.damage}" if stage.damage else "gone from the store"
                yield from below(f"{name_in(stage)} {told}" if len(group) > 1 else told, INDENT, width, "red")
