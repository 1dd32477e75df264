"""
List the runs, newest first: start, data set, what differs from the profile, test accuracy, state, stages computed.

Runs of one configuration that differ in their seed alone are one line, with the
mean and the standard deviation of their test accuracies; --each lists them.

killed: its record says running, but no process runs it any more.
`idxflow show RUN` shows everything about one.

Examples:
  idxflow runs                         the newest 20 lines
  idxflow runs --dataset mnist -n 5
  idxflow runs --sort test --where profile=tuned 'epochs>=10'
  idxflow runs --where state=failed 'when>2026-11-01'
  idxflow runs --all --each --json
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from artifacts.archive.index import Entry, RunIndex
from artifacts.archive.order import started_later
from artifacts.archive.runs import read_run
from artifacts.run_record import Record
from artifacts.store.store import Store
from flows.run_record import RunRecord
from idxflow.api import open_store
from idxflow.cli.completing import conditions, known_datasets, one_of
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count, flag, several
from idxflow.cli.output import put_json
from idxflow.listing.rows import lines_of, row_of
from idxflow.listing.selecting import FACTS, FIELDS, read_condition, sorted_lines
from idxflow.views.console import Console, open_console
from idxflow.views.layout import CLOCK, few, short_path
from idxflow.views.runs import run_lines
from schemas.counts import counted
from schemas.errors import UsageError

SEARCHED = 200
"""Runs among which those of one configuration are put together, the newest ones: of each the record is read, and a
list of runs is to be there at once. --all, --where and --sort read all."""


def runs(
    *,
    dataset: Annotated[
        str | None,
        Parameter(
            completer=known_datasets,
            help="Only runs of this data set: its name, or its id where several have the same name.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        several(
            "CONDITION",
            f"Only runs for which this holds, as test>0.97 or hidden=[100,50]: {', '.join(FACTS)}, or a field of the "
            "configuration; several have to hold together. Quote < and >.",
            completer=conditions,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        Parameter(
            metavar="NAME",
            completer=one_of(*FACTS, *FIELDS),
            help=f"Sort by {', '.join(FACTS)}, or a field of the configuration: accuracies highest first, others "
            "lowest first. [when]",
        ),
    ] = None,
    reverse: Annotated[bool, flag("The other way around.")] = False,
    each: Annotated[bool, flag("A line for each run, also where they differ in their seed alone.")] = False,
    number: Annotated[int, count(1, "How many lines. [20]", name=["--number", "-n"])] = 20,
    all_: Annotated[bool, flag("List every run.", name="--all")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List the runs."""
    wanted = [read_condition(text) for text in where or ()]
    order = sort or "when"
    sorted_lines((), order)  # refused before anything is read
    archive, console = open_store(home), open_console(json=json)
    with RunIndex(archive.store) as index:
        known, damaged = index.runs(), index.unreadable()
    chosen = [run for run in known if dataset in (None, run.dataset, run.identity)]
    if known and not chosen:
        names = sorted({run.dataset for run in known} - {""})
        expected = f"a data set that has runs: {', '.join(names) or 'none has chosen one yet'}"
        way_out = "Leave it out to list the runs of all of them."
        raise UsageError("--dataset", expected=expected, found=repr(dataset), way_out=way_out)
    # To list the newest as they are their records do; for all else those of all others are needed.
    plain = not wanted and order == "when" and not reverse
    fewer = number if plain and (each or json) else max(number, SEARCHED) if plain else len(chosen)
    records = _read(archive.store, chosen if all_ else chosen[:fewer])
    now = datetime.now(UTC)
    rows = [row_of(archive.store, RunRecord.of(record), now) for record in records]
    rows = [row for row in rows if all(condition.holds(row) for condition in wanted)]
    lines = lines_of(rows, each=each or json)
    if not plain:
        lines = sorted_lines(lines, order, turned=reverse)
    shown = lines if all_ else lines[:number]
    if json:
        put_json([row for line in shown for row in line.rows])
    elif shown:
        console.lines(run_lines(shown, console.width))
        if any(row.caveats for line in shown for row in line.rows):
            console.line(Text("!  a caveat voids or weakens this accuracy: idxflow show RUN", "dim"))
        if any(len(line.rows) > 1 for line in shown):
            among = f", of the newest {counted(SEARCHED, 'run')}" if len(records) < len(chosen) else ""
            told = f"mean and standard deviation over the seeds of one configuration{among}; --each lists its runs"
            console.line(Text(f"\u00b1  {told}", "dim"))
    elif known:
        console.line("No run for which this holds.")
    else:
        console.line(f"No runs yet in {short_path(archive.store.home)}. Start one with: idxflow run")
    listed = sum(len(line.rows) for line in shown)
    left = (len(rows) if wanted else len(chosen)) - listed
    if not json and left > 0 and shown:
        what = "older run" if plain else "run"
        console.line(Text(f"Not shown: {counted(left, what)}. See -n and --all.", "dim"))
    _warn(console, records, damaged, now)
    return DONE


def _read(store: Store, chosen: Sequence[Entry]) -> list[Record]:
    return list(filter(None, (read_run(store, run.id) for run in chosen)))


def _warn(console: Console, records: Sequence[Record], damaged: Sequence[Path], now: datetime) -> None:
    """Warn of records with another clock, and of those that do not read."""
    if future := [record.id for record in records if started_later(record, now)]:
        console.warn(f"Dated in the future: {counted(len(future), 'run')} ({few(future)}). {CLOCK}")
    if damaged:
        files = few([path.name for path in damaged])
        console.warn(f"Unreadable: {counted(len(damaged), 'run record')} ({files}).")
