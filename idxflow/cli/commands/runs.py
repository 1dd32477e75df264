"""`idxflow runs`: the history, a line a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from rich.text import Text

from artifacts.archive.index import Entry, RunIndex
from artifacts.archive.order import started_later
from artifacts.archive.runs import RunState, read_run, state_of
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count_from
from idxflow.cli.printing import put_json
from idxflow.views.console import open_console
from idxflow.views.summary import short_path
from idxflow.views.tables import table_lines
from idxflow.views.times import CLOCK, local_time, time_taken
from schemas.errors import UsageError
from schemas.text import counted, duration, share

STATE_STYLES = {"completed": "green", "running": "cyan", "failed": "red", "interrupted": "yellow", "killed": "red"}
VOID = " !"
"""Behind an accuracy that a caveat voids or weakens."""
NARROW = 100
"""Columns of a terminal below which a line is shortened to what is wanted most."""


class Row(BaseModel):
    """
    One run of the list.

    Args: seconds: what it took; since its start while it is running; None when it was killed.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    started: str = Field(description="UTC, ISO 8601")
    dataset: str
    dataset_id: str = Field(description="tells it from another data set of that name")
    profile: str
    state: RunState
    seconds: float | None
    stages: int
    computed: tuple[str, ...] = Field(description="names of the stages that were computed and not cached")
    order: tuple[str, ...] = Field(default=(), exclude=True, description="the stages of its graph, in their order")
    test_accuracy: float | None
    caveats: tuple[str, ...] = Field(default=(), description="what voids or weakens the test accuracy, a sentence each")


def runs(
    *,
    dataset: Annotated[
        str | None,
        Parameter(help="Only runs of this data set, by its name, or by what tells it from others of that name."),
    ] = None,
    number: Annotated[
        int,
        Parameter(
            name=["--number", "-n"],
            converter=count_from(1),
            show_default=False,
            metavar="N",
            help="How many, the newest first. [20]",
        ),
    ] = 20,
    all_: Annotated[bool, Parameter(name="--all", negative="", show_default=False, help="List every run.")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List the runs, newest first: when, of what, how they ended, how good the model is, what was computed."""
    archive, console = open_store(home), open_console(json=json)
    with RunIndex(archive.store) as index:
        known, damaged = index.runs(), index.unreadable()
    chosen = [run for run in known if dataset in (None, run.dataset, run.identity)]
    if known and not chosen:
        raise _unknown(dataset, known)
    listed = chosen if all_ else chosen[:number]
    shown = list(filter(None, (read_run(archive.store, run.id) for run in listed)))
    now = datetime.now(UTC)
    rows = [row_of(archive.store, RunRecord.of(record), now) for record in shown]
    if json:
        put_json(TypeAdapter(list[Row]).dump_json(rows, indent=2).decode())
    elif rows:
        for line in run_lines(rows, console.width):
            console.line(line)
        if any(row.caveats for row in rows):
            console.line(Text("!  a caveat voids or weakens this accuracy: idxflow show RUN", "dim"))
    else:
        console.line(f"No runs yet in {short_path(archive.store.home)}. Make one with: idxflow run")
    if not json and len(listed) < len(chosen):
        console.line(Text(f"{counted(len(chosen) - len(listed), 'older run')}: see -n and --all.", "dim"))
    if future := [record.id for record in shown if started_later(record, now)]:
        few = ", ".join(future[:3]) + (", ..." if len(future) > 3 else "")
        console.warn(f"{counted(len(future), 'run')} from the future: {few}. {CLOCK}")
    if damaged:
        few = ", ".join(path.name for path in damaged[:3]) + (", ..." if len(damaged) > 3 else "")
        words = "record of a run does" if len(damaged) == 1 else "records of runs do"
        console.warn(f"{len(damaged)} {words} not read: {few}")
    return DONE


def row_of(store: Store, record: RunRecord, now: datetime) -> Row:
    """Sum up a run."""
    state = state_of(store, record)
    test = record.metrics.get("test")
    return Row(
        id=record.id,
        started=record.started,
        dataset=record.dataset,
        dataset_id=record.identity,
        profile=record.profile,
        state=state,
        seconds=time_taken(record, state, now),
        stages=len(record.stages),
        computed=tuple(row.stage for row in record.stages if not row.cached),
        order=tuple(dict.fromkeys(row.stage for row in record.stages)),
        test_accuracy=test.accuracy if test else None,
        caveats=tuple(caveat.message for caveat in record.caveats),
    )


def run_lines(rows: Sequence[Row], width: int | None = None) -> Iterator[Text]:
    """
    Yield the lines of the list.

    Args: width: columns at hand; a narrow terminal sees half of the id, no year and no profile.
    """
    narrow = width is not None and width < NARROW
    several = {name for name, ids in _by_name(rows).items() if len(ids) > 1}
    header = ["run", "when", "data set", "profile", "time", "test", "state", "computed"]
    cells: list[list[str | Text]] = [
        [
            Text(row.id[:8] if narrow else row.id, "bold"),
            local_time(row.started)[5 if narrow else 0 :],
            (row.dataset_id if row.dataset in several else row.dataset) or "-",
            row.profile,
            "-" if row.seconds is None else duration(row.seconds),
            "-" if row.test_accuracy is None else share(row.test_accuracy) + (VOID if row.caveats else ""),
            Text(row.state, STATE_STYLES[row.state]),
            computed(row),
        ]
        for row in rows
    ]
    if narrow:
        header, cells = header[:3] + header[4:], [row[:3] + row[4:] for row in cells]
    for line in table_lines(header, cells, right=("time", "test")):
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        yield line


def _by_name(rows: Sequence[Row]) -> dict[str, set[str]]:
    """Return the data sets of each name: folders may have descriptions that are called alike."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.dataset, set()).add(row.dataset_id)
    return found


def computed(row: Row) -> str:
    """Return what a run computed: `nothing`, `all 20`, `train evaluate report`, `parse to report`, `download x 2`."""
    if row.state in ("running", "killed") and not row.stages:
        return "-"
    if not row.computed:
        return "nothing"
    if len(row.computed) == row.stages and row.state == "completed":
        return f"all {row.stages}"
    counts = Counter(row.computed)
    places = [place for place, stage in enumerate(row.order) if stage in counts]
    if len(places) == len(counts) > 3 and places[-1] - places[0] == len(places) - 1:
        return f"{row.order[places[0]]} to {row.order[places[-1]]}"
    return " ".join(name if count == 1 else f"{name} x {count}" for name, count in counts.items())


def _unknown(dataset: str | None, runs: Sequence[Entry]) -> UsageError:
    """Make the error for a data set that the history does not know."""
    known = sorted({run.dataset for run in runs} - {""})
    expected = f"a data set that has runs: {', '.join(known) or 'none has chosen one yet'}"
    way_out = "Leave it out to list the runs of all of them."
    return UsageError("--dataset", expected=expected, found=repr(dataset), way_out=way_out)
