"""
What a person sees while a run works: a line a stage, bars for what takes long, warnings as they come.

On a terminal the bars live below the lines; elsewhere there are plain lines only, and no control codes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from idxflow.words import amount, duration, facts_line, progress_of
from schemas.events import Event, Progress, RunChanged, StageChanged, listening

PLAIN_SECONDS = 5.0
"""Without a terminal, how often long work says how far it is."""


class Console:
    """
    The output of a command.

    Args:
        out:   where lines go.
        err:   where errors go, and warnings when it is a terminal and `out` is not.
        plain: lines only, even on a terminal.
        clock: seconds from anywhere on.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, plain: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.out = Terminal(file=out, highlight=False, soft_wrap=True)
        self.err = Terminal(file=err, highlight=False, soft_wrap=True)
        self.run_id: str | None = None
        self._live = self.out.is_terminal and not plain and not self.out.is_dumb_terminal
        self._clock = clock
        self._board = _Board(self.out) if self._live else None
        self._lock = threading.Lock()
        self._shown: set[tuple[str, str, str]] = set()
        self._last: dict[str, float] = {}
        self._facts: dict[str, str] = {}

    def line(self, text: str | Text = "") -> None:
        """Print one line."""
        self.out.print(text, markup=False)

    def fact(self, label: str, value: str) -> None:
        """Print a labelled value of the summary."""
        self.out.print(Text.assemble((f"{label + ':':17}", "bold"), value))

    def warn(self, message: str) -> None:
        """Print a warning so that nobody overlooks it."""
        where = self.err if self.err.is_terminal and not self.out.is_terminal else self.out
        _say(where, "WARNING", message, "bold black on yellow", "yellow")

    def fail(self, message: str) -> None:
        """Print an error."""
        _say(self.err, "ERROR", message, "bold white on red", "red")

    @contextmanager
    def watching(self, *, verbose: bool = False) -> Iterator[None]:
        """Show events and log lines for as long as the block runs."""
        logger, handler = logging.getLogger("idxflow"), _Lines(self, logging.DEBUG if verbose else logging.WARNING)
        before = logger.level, logger.propagate
        logger.setLevel(logging.DEBUG if verbose else logging.INFO)
        # The root logger's handler is Prefect's: it would say everything a second time.
        logger.propagate = False
        logger.addHandler(handler)
        live = Live(get_renderable=self._board.render, console=self.out, transient=True) if self._board else None
        try:
            with listening(self.show):
                if live:
                    live.start()
                yield
        finally:
            if live:
                live.stop()
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Show on a terminal that something goes on which emits no events."""
        row = StageChanged("", what, "started", "")
        if self._board:
            self._board.start(row)
        try:
            yield
        finally:
            if self._board:
                self._board.finish(row)

    def show(self, event: Event) -> None:
        """Show what an event tells; from any thread."""
        with self._lock:
            match event:
                case RunChanged():
                    self.run_id = event.id
                case StageChanged(state="started"):
                    if self._board:
                        self._board.start(event)
                case StageChanged():
                    self._finish(event)
                case Progress():
                    self._advance(event)

    def _finish(self, event: StageChanged) -> None:
        if self._board:
            self._board.finish(event)
        if (event.stage, event.name, event.version) in self._shown:
            return  # a second attempt after damage finds cached what the first one computed
        self._shown.add((event.stage, event.name, event.version))
        self.out.print(stage_line(event, self.out.width if self._live else None))
        if facts := self._facts.pop(event.stage, ""):
            self.line(Text(f"{'':10} {facts}", "dim"))

    def _advance(self, event: Progress) -> None:
        facts = facts_line(event.facts)
        if facts:
            self._facts[event.subject] = f"{amount(event.done, event.unit)}: {facts}"
        if self._board:
            self._board.advance(event, facts)
            return
        now = self._clock()
        if now - self._last.setdefault(event.subject, now) >= PLAIN_SECONDS and event.done != event.total:
            self._last[event.subject] = now
            how_far = progress_of(event.done, event.total, event.unit)
            self.line(f"{event.subject:10} {': '.join(filter(None, [how_far, facts]))}")


def stage_line(event: StageChanged, width: int | None = None) -> Text:
    """
    Return the line of a finished stage: stage, of what, state, time, size, version.

    Args: width: columns at hand; a narrow terminal sees half of the version, as git abbreviates.
    """
    cached = event.state == "cached"
    version = event.version if width is None or width >= 88 else event.version[:8]
    line = Text.assemble(
        (f"{event.stage:10} ", "bold"),
        f"{event.name:27} ",
        (f"{event.state:8} ", "cyan" if cached else "green"),
        f"{duration(event.seconds):>9} {amount(event.bytes, 'bytes'):>9}  ",
        (version, "dim"),
    )
    if cached:
        line.stylize("dim", 0, 38)
    return line


class _Board:
    """The living part of a terminal: what runs right now."""

    def __init__(self, terminal: Terminal) -> None:
        # At 80 columns there is room for a file's name, a short bar and the figures.
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            _Bar(bar_width=8 if terminal.width < 100 else 20),
            _Figures(),
        )
        self._bars = Bars(*columns, console=terminal)
        self._rows: dict[tuple[str, str], TaskID] = {}
        self._facts: dict[str, str] = {}

    def render(self) -> RenderableType:
        """Return what to draw."""
        return Group(self._bars.get_renderable(), *(Text(f"  {facts}", "dim") for facts in self._facts.values()))

    def start(self, event: StageChanged) -> None:
        """Add a row."""
        if (event.stage, event.name) not in self._rows:
            self._rows[event.stage, event.name] = self._add(f"{event.stage} {event.name}".strip())

    def advance(self, event: Progress, facts: str) -> None:
        """Move the bar of the row that the event is about."""
        row = next((row for key, row in self._rows.items() if event.subject in key), None)
        if row is None:
            row = self._rows["", event.subject] = self._add(event.subject)
        if event.done < next(task.completed for task in self._bars.tasks if task.id == row):
            self._bars.reset(row)  # the next mirror starts from the beginning
        self._bars.update(row, completed=event.done, total=event.total, unit=event.unit)
        if facts:
            self._facts[event.subject] = facts

    def finish(self, event: StageChanged) -> None:
        """Take a row away; its line stands above from now on."""
        for key in ((event.stage, event.name), ("", event.name or event.stage)):
            if key in self._rows:
                self._bars.remove_task(self._rows.pop(key))
        self._facts.pop(event.name or event.stage, None)

    def _add(self, title: str) -> TaskID:
        return self._bars.add_task(title, total=None, unit="")


class _Bar(BarColumn):
    """A bar where there is something to count."""

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]
        """Return a bar, or nothing."""
        return super().render(task) if task.fields["unit"] else Text()


class _Figures(ProgressColumn):
    """How much, how fast, how long still; the time so far where nothing is counted."""

    def render(self, task: Task) -> Text:
        """Return the figures of one row."""
        if not (unit := task.fields["unit"]):
            return Text(duration(task.elapsed or 0.0), "dim")
        left, speed = task.time_remaining, task.speed
        figures = [progress_of(int(task.completed), None if task.total is None else int(task.total), unit)]
        figures += [f"{amount(speed, unit)}/s"] if speed else []
        figures += [f"{duration(left)} left"] if speed and left else []
        return Text(" ".join(figures), no_wrap=True)


class _Lines(logging.Handler):
    """Prints log lines of idxflow's own loggers: warnings once each, the rest only when asked for."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console, self._said = console, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        message = record.getMessage()
        if record.levelno < logging.WARNING:
            self._console.line(f"{record.name}: {message}")
        elif message not in self._said:
            self._said.add(message)
            self._console.warn(message)


def _say(where: Terminal, label: str, message: str, label_style: str, style: str) -> None:
    # One line of a file stays one line; a terminal breaks it between words.
    where.print(Text.assemble((label, label_style), " ", (message, style)), soft_wrap=not where.is_terminal)
