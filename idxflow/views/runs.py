"""The list of runs as lines: what differs from the profile, and the mean over seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from flows.differing import in_words
from idxflow.listing.rows import Line, Row
from idxflow.views.layout import local_time, table_lines
from schemas.counts import counted
from schemas.text import duration, share, span

STATE_STYLES = {"completed": "green", "running": "cyan", "failed": "red", "interrupted": "yellow", "killed": "red"}
VOID = " !"
"""Behind an accuracy that a caveat voids or weakens."""
NARROW, WIDE = 100, 120
"""Columns of a terminal below which a line of the list is shortened to what is wanted most; and has no interval."""


def run_lines(lines: Sequence[Line], width: int | None = None) -> Iterator[Text]:
    """
    Yield the lines of the list.

    Args: width: columns of the terminal; a narrow one shows half of the id, no year, no profile and no interval.
    """
    narrow = width is not None and width < NARROW
    known = {(line.newest.dataset, line.newest.dataset_id) for line in lines}  # folders may have sets of one name
    several = {name for name, count in Counter(name for name, _ in known).items() if count > 1}
    header = ["run", "when", "data set", "profile", "differs", "time", "test", "95 % interval", "state", "computed"]
    cells: list[list[str | Text]] = [
        [
            Text(line.newest.id[:8] if narrow else line.newest.id, "bold"),
            local_time(line.newest.started)[5 if narrow else 0 :],
            (line.newest.dataset_id if line.newest.dataset in several else line.newest.dataset) or "-",
            line.newest.profile,
            configuration(line),
            "-" if line.newest.seconds is None else duration(line.newest.seconds),
            accuracy(line),
            "-" if line.newest.interval is None or line.spread is not None else span(line.newest.interval),
            Text(line.newest.state, STATE_STYLES[line.newest.state]),
            computed(line.newest) if len(line.rows) == 1 else counted(len(line.rows), "run"),
        ]
        for line in lines
    ]
    left_out = {"profile", "95 % interval"} if narrow else {"95 % interval"} if width and width < WIDE else set[str]()
    if not any(configuration(line) for line in lines):
        left_out.add("differs")
    kept = [at for at, name in enumerate(header) if name not in left_out]
    header, cells = [header[at] for at in kept], [[row[at] for at in kept] for row in cells]
    for text in table_lines(header, cells, right=("time", "test")):
        if width is not None:
            text.truncate(width, overflow="ellipsis")
        yield text


def configuration(line: Line) -> str:
    """Say what a line's runs have otherwise than their profile, and of several seeds how many."""
    seeds = [f"({counted(len(line.seeds), 'seed')})"] if len(line.seeds) > 1 else []
    return " ".join(filter(None, [in_words(line.differs), *seeds]))


def accuracy(line: Line) -> str:
    """Return the test accuracy, of several seeds with its standard deviation: `96.05 ± 0.12 %`."""
    if line.accuracy is None:
        return "-"
    void = VOID if any(row.caveats for row in line.rows) else ""
    if line.spread is None:
        return share(line.accuracy) + void
    return f"{100 * line.accuracy:.2f} \u00b1 {share(line.spread)}{void}"


def computed(row: Row) -> str:
    """
    Return what a run computed: `nothing`, `all 20`, `train evaluate report`, `parse to report`, `download x 2`.

    Of a sweep that would be long: it is `tune, 24 trials, best 98.12 % held-out`.
    """
    if row.tuned:
        return row.tuned
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
