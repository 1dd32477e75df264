"""
List the runs, newest first: start, data set, duration, test accuracy, state, and the stages that were computed.

killed: its record says running, but no process runs it any more.
`idxflow show RUN` shows everything about one.

Examples:
  idxflow runs                         the newest 20
  idxflow runs --dataset mnist -n 5
  idxflow runs --all --json
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from artifacts.archive.index import RunIndex
from artifacts.archive.order import started_later
from artifacts.archive.runs import read_run
from flows.run_record import RunRecord
from idxflow.api import open_store
from idxflow.cli.completing import known_datasets
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count, flag
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.layout import CLOCK, few, short_path
from idxflow.views.run import row_of, run_lines
from schemas.counts import counted
from schemas.errors import UsageError


def runs(
    *,
    dataset: Annotated[
        str | None,
        Parameter(
            completer=known_datasets,
            help="Only runs of this data set: its name, or its id where several have the same name.",
        ),
    ] = None,
    number: Annotated[int, count(1, "How many, the newest first. [20]", name=["--number", "-n"])] = 20,
    all_: Annotated[bool, flag("List every run.", name="--all")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List the runs."""
    archive, console = open_store(home), open_console(json=json)
    with RunIndex(archive.store) as index:
        known, damaged = index.runs(), index.unreadable()
    chosen = [run for run in known if dataset in (None, run.dataset, run.identity)]
    if known and not chosen:
        names = sorted({run.dataset for run in known} - {""})
        expected = f"a data set that has runs: {', '.join(names) or 'none has chosen one yet'}"
        way_out = "Leave it out to list the runs of all of them."
        raise UsageError("--dataset", expected=expected, found=repr(dataset), way_out=way_out)
    listed = chosen if all_ else chosen[:number]
    shown = list(filter(None, (read_run(archive.store, run.id) for run in listed)))
    now = datetime.now(UTC)
    rows = [row_of(archive.store, RunRecord.of(record), now) for record in shown]
    if json:
        put_json(rows)
    elif rows:
        console.lines(run_lines(rows, console.width))
        if any(row.caveats for row in rows):
            console.line(Text("!  a caveat voids or weakens this accuracy: idxflow show RUN", "dim"))
    else:
        console.line(f"No runs yet in {short_path(archive.store.home)}. Start one with: idxflow run")
    if not json and len(listed) < len(chosen):
        console.line(Text(f"Not shown: {counted(len(chosen) - len(listed), 'older run')}. See -n and --all.", "dim"))
    if future := [record.id for record in shown if started_later(record, now)]:
        console.warn(f"Dated in the future: {counted(len(future), 'run')} ({few(future)}). {CLOCK}")
    if damaged:
        files = few([path.name for path in damaged])
        console.warn(f"Unreadable: {counted(len(damaged), 'run record')} ({files}).")
    return DONE
