"""A stage as a line: while a run works, in a plan, and on the page of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from flows.many import name_in, reasons_of, split_of, words_of
from idxflow.views.layout import below, shown_version
from schemas.counts import counted
from schemas.events import StageChanged
from schemas.text import amount, duration
from schemas.tuning import TrialEnded

if TYPE_CHECKING:
    from artifacts.engine.plan import Plan, PlannedStage

INDENT = 11
"""Columns before what stands below the line of a stage."""
VERSION = 16
SPLITS = frozenset(("train", "test"))
STYLES = {"cached": "cyan", "computed": "green", "will run": "green", "depends": "yellow"}
"""Of what became of a stage, or will."""


def stage_line(event: StageChanged, width: int | None = None) -> Text:
    """
    Return the line of a finished stage: stage, of what, state, time, size, version, and why it was computed.

    Args: width: columns of the terminal. A narrow one shows half of the version, as git abbreviates, or none of it
                 where there is a reason to show; a longer reason is on lines of its own.
    """
    cached = event.state == "cached"
    line = Text.assemble(
        (f"{event.stage:10} ", "bold"),
        f"{event.name:27} ",
        (f"{event.state:8} ", STYLES[event.state]),
        f"{duration(event.seconds):>9} {amount(event.bytes, 'bytes'):>9}",
    )
    if cached:
        line.stylize("dim", 0, 38)
    room = None if width is None else width - line.cell_len
    version = event.version if room is None or room >= 2 + len(event.version) else event.version[:8]
    reason = event.reason
    if room is not None and reason and len(version) + len(reason) + 4 > room >= len(reason) + 2:
        version = ""  # at 80 columns there is room for one of the two, and only the version can be seen elsewhere
    line.append(f"  {version}" if version else "", "dim")
    if reason and (room is None or (2 + len(version) if version else 0) + 2 + len(reason) <= room):
        line.append(f"  {reason}", "dim")
    elif reason:
        line = Text("\n").join([line, *below(reason, INDENT, width)])
    return line


def group_line(
    events: Sequence[StageChanged], split: str, total: int, seconds: float, width: int | None = None
) -> Text:
    """
    Return one line for all calls of a stage, as of many files: how many, their time and size together, and why.

    Args:
        events:  of those that have ended; split: what they are of, empty for all; total: how many there will be.
        seconds: for how long at least one of them was at work.
        width:   as above.
    """
    stage, cached = events[0].stage, [event for event in events if event.state == "cached"]
    told = [(name_in(event), event.reason) for event in events if event.state != "cached"]
    names = {event.name for event in events}
    if len(names) == total and names <= SPLITS:
        name = ", ".join(sorted(names, reverse=True)) + (f": {len(cached)} cached" if cached and told else "")
    else:
        name = words_of(stage, split, len(events), total, len(cached))
    size = sum(event.bytes for event in events)
    reason = reasons_of(told) if any(why for _, why in told) else ""
    return stage_line(
        StageChanged(stage, name, "computed" if told else "cached", "", seconds, size, reason),
        width,
    )


def cached_lines(events: Sequence[StageChanged], seconds: float, width: int | None = None) -> Iterator[Text]:
    """Yield the lines of several stages of which all was found: how many, their time and size, and below, which."""
    stages = [*dict.fromkeys(event.stage for event in events)]
    size = sum(event.bytes for event in events)
    yield stage_line(StageChanged("stages", f"{len(stages)} of them", "cached", "", seconds, size), width)
    yield from below(", ".join(stages), INDENT, width)


def trial_lines(event: TrialEnded, width: int | None = None) -> Iterator[Text]:
    """
    Yield the lines of a trial that has ended: which, what came of it, its time, and below what it tries.

    Args: width: columns of the terminal.
    """
    failed = event.outcome == "failed"
    state = event.state if event.outcome == "complete" else event.outcome
    said = "" if failed else event.said
    line = Text.assemble(
        (f"{'trial':10} ", "bold"),
        f"{f'{event.number} of {event.of}':27} ",
        (f"{state:8} ", STYLES.get(state, "red" if failed else "yellow")),
        f"{duration(event.seconds):>9}" if event.outcome == "complete" else f"{'':9}",
        f"  {said}",
    )
    if event.best:
        line.append("  best so far", "bold green")
    line.rstrip()
    yield line
    yield from below(event.values, INDENT, width)
    if failed:
        yield from below(event.said, INDENT, width)


def plan_lines(row: PlannedStage, width: int | None = None) -> Iterator[Text]:
    """
    Yield the line of a planned stage: stage, of what, what would happen, version, why.

    Args: width: columns of the terminal; what does not fit stands below.
    """
    from artifacts.archive.reasons import sentence

    line = Text.assemble((f"{row.stage:10} ", "bold"), f"{row.name:27} ", (f"{row.state:8}  ", STYLES[row.state]))
    why = sentence(row.changes)
    if row.state == "depends":
        waits = dict.fromkeys(subject.partition(" ")[0] for subject in row.waits_for)  # each once, in their order
        why = f"on {', '.join(waits)}"
    else:
        line.append(f"{shown_version(row.version or ' ' * VERSION, width)}  ", "dim")
    yield from _with_reason(line, why, width)


def _with_reason(line: Text, why: str, width: int | None) -> Iterator[Text]:
    """Yield a line with a reason at its end, or below it where it does not fit."""
    fits = width is None or line.cell_len + len(why) <= width
    if fits:
        line.append(why)
    line.rstrip()
    yield line
    if not fits:
        yield from below(why, INDENT, width)


def planned_group(rows: Sequence[PlannedStage], width: int | None = None) -> Iterator[Text]:
    """Yield the line of many planned stages as one: how many, how many cached, and why others are not."""
    from artifacts.archive.reasons import sentence

    stage, ahead = rows[0].stage, [row for row in rows if row.state != "cached"]
    states = {row.state for row in rows}
    state = "will run" if "will run" in states else "depends" if "depends" in states else "cached"
    name = words_of(stage, split_of(rows[0]) or "", len(rows), len(rows), len(rows) - len(ahead))
    line = Text.assemble((f"{stage:10} ", "bold"), f"{name:27} ", (f"{state:8}  ", STYLES[state]))
    waits = dict.fromkeys(subject.partition(" ")[0] for row in ahead for subject in row.waits_for)
    depends = f"on {', '.join(waits)}"
    told = [(name_in(row), depends if row.state == "depends" else sentence(row.changes)) for row in ahead]
    why = reasons_of(told) if told else ""
    yield from _with_reason(line, why, width)


def plan_total(plan: Plan) -> str:
    """Sum a plan up in one sentence."""
    states = [row.state for row in plan.stages]
    cached, ahead, waiting = (states.count(state) for state in ("cached", "will run", "depends"))
    stages = counted(len(states), "stage")
    if cached == len(states):
        return f"{plan.dataset}: all {stages} are cached; a run computes nothing."
    rest = f", {waiting} dependent on the content of earlier stages" if waiting else ""
    return f"{plan.dataset}: {cached} of {stages} cached, {ahead} to be computed{rest}."
