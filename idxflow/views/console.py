"""
The output of a command: lines, facts, tables, warnings; while a run works, a line per stage and bars for long work.

On a terminal the bars live below the lines; elsewhere there are plain lines only, and no control codes. No title, class
name, file name, error or mirror's answer steers the terminal.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TextIO

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from flows.many import FILES, PARTS
from idxflow.cli.interrupts import held_back
from idxflow.views.board import Board
from idxflow.views.layout import COLUMNS, LABEL, LEAST, below, table_lines, wrapped
from idxflow.views.stages import INDENT, cached_lines, group_line, stage_line, trial_lines
from schemas.events import (
    Event,
    PartsExpected,
    PartsSettled,
    Progress,
    RunChanged,
    StageChanged,
    StageFailed,
    listening,
)
from schemas.secrets import conceal
from schemas.text import amount, facts_line, progress_of
from schemas.tuning import TRIAL, TrialEnded
from schemas.visible import visible

PLAIN_SECONDS = 5.0
"""Seconds between two progress lines, without a terminal."""
SWEEP_SECONDS = 60.0
"""Seconds between two lines of one training of many, as `trial 12` or `winner seed 124`."""
RESUMED = "resuming an interrupted training"
"""How the one log line begins that is no warning and is shown all the same."""
NEVER = "never run"
"""How the reason of a stage begins that is computed for the first time: in a first run that of all, and told once."""
CAVEAT = "Caveat"
"""Label of what voids or weakens the figure above it."""
VIEW = 20
"""Lines after which a message has scrolled out of view."""
SHOWN = 20
"""Lines of a list that are shown at most."""


class Terminal(rich.console.Console):
    """Rich's console, on which no text is more than text; what rich itself sends to steer the terminal stays."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render text as it may be shown."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)


class Console:
    """
    The output of a command.

    Args:
        out:   for lines.
        err:   for errors, and for warnings when it is a terminal and `out` is not.
        plain: lines only, even on a terminal.
        clock: seconds since some moment.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, plain: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.out = Terminal(file=out, highlight=False, soft_wrap=True)
        self.err = Terminal(file=err, highlight=False, soft_wrap=True)
        self.run_id: str | None = None
        self._live = self.out.is_terminal and not plain and not self.out.is_dumb_terminal
        self._clock = clock
        self._board = Board(self.out) if self._live else None
        self._lock = threading.Lock()
        self._shown: set[tuple[str, str, str]] = set()
        self._last: dict[str, float] = {}
        self._facts: dict[str, str] = {}
        self._lines = 0
        self._warned: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._cached: list[tuple[StageChanged, float]] = []
        self._never = self._each = False
        self.trained: tuple[int, int | None] | None = None
        """Epochs that a training under way has done, each of them saved, and how many it is to do."""
        self.began: float | None = None
        """When the run began, on this console's clock."""

    def time(self) -> float:
        """Return the seconds since some moment."""
        return self._clock()

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where the output is no terminal, and lines may be of any length."""
        return self.out.width if self.out.is_terminal else None

    def line(self, text: str | Text = "") -> None:
        """Print one line."""
        self._tell_cached()
        # One line of a file stays one line; a terminal breaks it between words.
        shown = conceal(text) if isinstance(text, str) else text
        self.out.print(shown, markup=False, soft_wrap=not self.out.is_terminal)
        self._lines += 1

    def lines(self, lines: Iterable[str | Text]) -> None:
        """Print lines."""
        for line in lines:
            self.line(line)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Collection[str] = ()) -> None:
        """Print a table; see `table_lines`."""
        self.lines(table_lines(header, rows, right))

    def fact(self, label: str, value: str) -> None:
        """Print a labelled value in one line, which can be copied."""
        self._whole(Text.assemble((f"{label + ':':{LABEL}}", _style(label)), value))

    def place(self, label: str, value: str, link: str = "", note: str = "") -> None:
        """
        Print a labelled path or address, below its label where it fits the terminal only there, so that it is whole.

        Args: link: its address, which a terminal that can opens on a click; note: what to know of it, in a few words.
        """
        beside = f"  ({note})" if note else ""
        fits = self.width is None or LABEL + len(value + beside) <= self.width
        head = f"{label + ':':{LABEL}}" if fits else f"{label + ':':{LABEL}}{beside.strip()}".rstrip() + "\n"
        shown = Text(value, Style(link=link) if link and self._links else "")
        self._whole(Text.assemble((head, _style(label)), shown, beside if fits else ""))

    def _whole(self, line: Text) -> None:
        """Print a line of which no word is broken, by idxflow at least."""
        self._tell_cached()
        self.out.print(line)
        self._lines += 1

    @property
    def _links(self) -> bool:
        return self.out.is_terminal and not self.out.is_dumb_terminal and not self.out.no_color

    def paragraph(self, label: str, value: str) -> None:
        """Print a labelled value of a page, with as many lines below the first as it takes."""
        self._labelled(label, value, COLUMNS)

    def told(self, label: str, value: str) -> None:
        """Print a labelled value: in one line of a file, in as many of a terminal as it takes."""
        self._labelled(label, value, self.width)

    def _labelled(self, label: str, value: str, width: int | None) -> None:
        wide = len(value) + 1 if width is None else max(LEAST, width - LABEL)
        first, *others = wrapped(value, wide) or [""]
        self.fact(label, first)
        self.lines(f"{'':{LABEL}}{line}" for line in others)

    def section(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Print a titled list of names and values, unless it is empty."""
        if not rows:
            return
        self.line(Text(f"\n{title}", "bold"))
        wide = max(len(name) for name, _ in rows[:SHOWN])
        for name, value in rows[:SHOWN]:
            line = Text(f"  {name:{wide}}  {' '.join(value.split())}")
            line.truncate(max(COLUMNS, wide + 24), overflow="ellipsis")
            self.line(line)
        if len(rows) > SHOWN:
            self.line(Text(f"  and {len(rows) - SHOWN} more, which --json shows", "dim"))

    def warn(self, message: str) -> None:
        """Print a warning where it is seen."""
        self._tell_cached()
        self._warned[message] = self._lines
        where = self.err if self.err.is_terminal and not self.out.is_terminal else self.out
        _say(where, "WARNING", message, "bold black on yellow", "yellow")

    def remind(self, message: str) -> None:
        """Print a warning, unless it was just printed and is still in view."""
        if self._lines - self._warned.get(message, -VIEW) >= VIEW:
            self.warn(message)

    def fail(self, message: str) -> None:
        """Print an error, unless it was printed when it happened and is still in view."""
        if self._lines - self._failed.get(message, -VIEW) < VIEW:
            return
        self._tell_cached()
        self._failed[message] = self._lines
        _say(self.err, "ERROR", message, "bold white on red", "red")

    @contextmanager
    def watching(self, *, verbose: bool = False) -> Iterator[None]:
        """
        Show events and log lines while the block runs.

        Args: verbose: log lines of every level, and a line for each call of a stage.
        """
        logger, handler = logging.getLogger("idxflow"), _Lines(self, logging.DEBUG if verbose else logging.INFO)
        self._each = verbose
        before = logger.level, logger.propagate
        logger.setLevel(logging.DEBUG if verbose else logging.INFO)
        # The root logger's handler is Prefect's: it would print everything a second time.
        logger.propagate = False
        logger.addHandler(handler)
        live = Live(get_renderable=self._board.render, console=self.out, transient=True) if self._board else None
        try:
            with listening(self.show):
                if live:
                    with held_back():  # one that is half started cannot be stopped
                        live.start()
                yield
        finally:
            with held_back():
                with self._lock:
                    self._tell_cached()
                if live:
                    live.stop()
                logger.removeHandler(handler)
                logger.setLevel(before[0])
                logger.propagate = before[1]

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show on a terminal that work is going on which emits no events."""
        row = StageChanged("", what, "started", "")
        if self._board:
            self._board.start(row)
        try:
            yield
        finally:
            if self._board:
                self._board.finish(row)

    def show(self, event: Event) -> None:
        """Show an event; from any thread."""
        with self._lock:
            match event:
                case RunChanged() | PartsExpected():
                    self._note(event)
                case PartsSettled():
                    self._settle(event)
                case TrialEnded():
                    self.lines(trial_lines(event, self.width))
                case StageChanged(name=name) if name.startswith(TRIAL) and event.state != "started":
                    self._facts.pop(name, None)
                    if self._board:
                        self._board.finish(event)
                case StageChanged(state="started"):
                    if self._board:
                        self._board.start(event)
                case StageChanged():
                    self._finish(event)
                case StageFailed():
                    if self._board:
                        self._board.finish(event)
                    if not event.optional:  # of such a one there is a warning
                        self.fail(event.message)
                case Progress():
                    self._advance(event)

    def _finish(self, event: StageChanged) -> None:
        if self._board:
            self._board.finish(event)
        if (event.stage, event.name, event.version) in self._shown:
            return  # a second attempt after damage finds in the cache what the first one computed
        self._shown.add((event.stage, event.name, event.version))
        if event.stage == "train":
            self.trained = None
        group = self._groups.get((event.stage, event.name))
        if group and not self._each and not group.told:
            self._facts.pop(event.name, None)
            group.add(event, self._clock())
            self._tell_whole(group)
            return
        facts = self._facts.pop(event.stage, "")
        if event.state == "cached" and not self._each:
            self._cached.append((event, self._clock()))
            return
        lines = below(facts, INDENT, self.width)
        self.line(Text("\n").join([stage_line(self._once(event), self.width), *lines]))

    def _once(self, event: StageChanged) -> StageChanged:
        """Leave out the reason of an event where it is that of a first run, and said."""
        if not event.reason.startswith(NEVER) or self._each:
            return event
        said, self._never = self._never, True
        return replace(event, reason="") if said else event

    def _tell_whole(self, group: _Group) -> None:
        """Tell of stages that are told as one, once all of them have ended; of those in bundles their line tells."""
        if group.ended and len(group.ended) == group.total:
            self._tell_group(group)

    def _tell_group(self, group: _Group) -> None:
        group.told = True
        if all(event.state == "cached" for event in group.ended):
            self._cached.extend(zip(group.ended, group.ends, strict=True))
            return
        said = self._never
        events = []
        for event in group.ended:
            self._never = said
            events.append(self._once(event))
        seconds = covered(group.ended, group.ends)
        self.line(group_line(events, group.split, group.total, seconds, self.width))

    def _tell_cached(self) -> None:
        """Tell of the stages that were found since the last line: of several as one, of one call by itself."""
        found, self._cached = self._cached, []
        if not found:
            return
        events, ends = [event for event, _ in found], [end for _, end in found]
        stages = {event.stage for event in events}
        if len(events) == 1:
            self.line(stage_line(events[0], self.width))
        elif len(stages) == 1:
            self.line(group_line(events, "", len(events), covered(events, ends), self.width))
        else:
            self.lines(cached_lines(events, covered(events, ends), self.width))

    def _settle(self, event: PartsSettled) -> None:
        """Expect nothing more of the stages of parts that are in bundles; the others may all have ended by now."""
        fewer = dict[_Group, None]()
        for stages, names in ((FILES, event.files), (PARTS, event.parts)):
            for stage in stages:
                for name in names:
                    if group := self._groups.pop((stage, name), None):
                        group.total -= 1
                        fewer[group] = None
        for group in fewer:
            self._tell_whole(group)

    def _note(self, event: RunChanged | PartsExpected) -> None:
        """Take down which run it is, and what will be told as one; at its end tell what of that has not been."""
        if isinstance(event, PartsExpected):
            group = _Group(event.split, len(event.names))
            for name in event.names:
                self._groups.setdefault((event.stage, name), group)  # a second attempt expects the same
            return
        self.run_id = event.id
        if event.state == "running":
            self.began = self._clock()
        else:
            self._tell_unfinished()

    def _tell_unfinished(self) -> None:
        """Tell of what has ended before the run did, where not all of it has."""
        for group in dict.fromkeys(self._groups.values()):
            if 0 < len(group.ended) < group.total:
                self._tell_group(group)
        self._groups.clear()

    def _advance(self, event: Progress) -> None:
        facts = facts_line(event.facts, event.note)
        if facts:
            # Of the train rows one accuracy is told, the model's: not that of rows while it learned them.
            kept = {name: value for name, value in event.facts.items() if name.startswith("val_")}
            last = facts_line(kept, event.note) if kept else f"while it learned: {facts}"
            self._facts[event.subject] = f"{amount(event.done, event.unit)}: {last}"
        if event.unit == "epochs":
            self._tell_cached()
            if event.subject == "train":
                self.trained = event.done, event.total
        if self._board:
            self._board.advance(event, facts)
            return
        now = self._clock()
        wait = SWEEP_SECONDS if event.unit == "epochs" and " " in event.subject else PLAIN_SECONDS
        if now - self._last.setdefault(event.subject, now) >= wait and event.done != event.total:
            self._last[event.subject] = now
            how_far = progress_of(event.done, event.total, event.unit)
            self.line(f"{event.subject:10} {': '.join(filter(None, [how_far, facts]))}")


def open_console(*, json: bool = False, plain: bool = False) -> Console:
    """Return a command's console: standard output, unless that belongs to a JSON document; errors beside it."""
    return Console(sys.stderr if json else sys.stdout, sys.stderr, plain=plain)


@dataclass(eq=False)
class _Group:
    """Calls that are told as one: of what split, how many there will be, those that have ended, and when each did."""

    split: str
    total: int
    ended: list[StageChanged] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    told: bool = False

    def add(self, event: StageChanged, now: float) -> None:
        """Take in one that has ended."""
        self.ended.append(event)
        self.ends.append(now)


def covered(events: Sequence[StageChanged], ends: Sequence[float]) -> float:
    """Return for how many seconds at least one of these was at work. Args: ends: when each ended."""
    seconds, until = 0.0, float("-inf")
    for begin, end in sorted((end - event.seconds, end) for event, end in zip(events, ends, strict=True)):
        seconds += max(0.0, end - max(begin, until))
        until = max(until, end)
    return seconds


class _Lines(logging.Handler):
    """Prints log lines of idxflow's own loggers: warnings once each, others only if verbose."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console, self._said = console, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        message = record.getMessage()
        if record.levelno < logging.WARNING:
            if self.level < logging.INFO:
                self._console.line(f"{record.name}: {message}")
            elif message.startswith(RESUMED):
                self._console.line(Text.assemble((f"{'train':10} ", "bold"), message))
        elif message not in self._said:
            self._said.add(message)
            self._console.warn(message)


def _style(label: str) -> str:
    return "bold yellow" if label == CAVEAT else "bold"


def _say(where: Terminal, label: str, message: str, label_style: str, style: str) -> None:
    # One line of a file stays one line; a terminal breaks it between words.
    where.print(Text.assemble((label, label_style), " ", (conceal(message), style)), soft_wrap=not where.is_terminal)
