"""
What a person sees while a run works: a line a stage, bars for what takes long, warnings as they come.

On a terminal the bars live below the lines; elsewhere there are plain lines only, and no control codes.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.live import Live
from rich.text import Text

from idxflow.cli.interrupts import held_back
from idxflow.views.board import Board
from idxflow.views.tables import below
from idxflow.views.terminal import Terminal
from schemas.events import Event, Progress, RunChanged, StageChanged, StageFailed, listening
from schemas.secrets import conceal
from schemas.text import amount, duration, facts_line, progress_of

PLAIN_SECONDS = 5.0
"""Without a terminal, how often long work says how far it is."""
INDENT = 11
"""Columns before what stands below the line of a stage."""
CAVEAT = "Caveat"
"""Label of what voids or weakens the figure above it."""
VIEW = 20
"""Lines after which what was said has gone from view."""


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
        self._board = Board(self.out) if self._live else None
        self._lock = threading.Lock()
        self._shown: set[tuple[str, str, str]] = set()
        self._last: dict[str, float] = {}
        self._facts: dict[str, str] = {}
        self._lines = 0
        self._warned: dict[str, int] = {}
        self._failed: dict[str, int] = {}

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where lines go to no terminal, and may be of any length."""
        return self.out.width if self.out.is_terminal else None

    def line(self, text: str | Text = "") -> None:
        """Print one line."""
        # One line of a file stays one line; a terminal breaks it between words.
        shown = conceal(text) if isinstance(text, str) else text
        self.out.print(shown, markup=False, soft_wrap=not self.out.is_terminal)
        self._lines += 1

    def fact(self, label: str, value: str) -> None:
        """Print a labelled value of the summary."""
        self.out.print(Text.assemble((f"{label + ':':17}", "bold yellow" if label == CAVEAT else "bold"), value))
        self._lines += 1

    def warn(self, message: str) -> None:
        """Print a warning so that nobody overlooks it."""
        self._warned[message] = self._lines
        where = self.err if self.err.is_terminal and not self.out.is_terminal else self.out
        _say(where, "WARNING", message, "bold black on yellow", "yellow")

    def remind(self, message: str) -> None:
        """Print a warning, unless it has just been printed and still stands in view."""
        if self._lines - self._warned.get(message, -VIEW) >= VIEW:
            self.warn(message)

    def fail(self, message: str) -> None:
        """Print an error, unless it was printed when it happened and still stands in view."""
        if self._lines - self._failed.get(message, -VIEW) < VIEW:
            return
        self._failed[message] = self._lines
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
                    with held_back():  # one that is half started cannot be stopped
                        live.start()
                yield
        finally:
            with held_back():
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
                case StageFailed():
                    if self._board:
                        self._board.finish(event)
                    self.fail(event.message)
                case Progress():
                    self._advance(event)

    def _finish(self, event: StageChanged) -> None:
        if self._board:
            self._board.finish(event)
        if (event.stage, event.name, event.version) in self._shown:
            return  # a second attempt after damage finds cached what the first one computed
        self._shown.add((event.stage, event.name, event.version))
        facts = below(self._facts.pop(event.stage, ""), INDENT, self.width)
        self.line(Text("\n").join([stage_line(event, self.width), *facts]))

    def _advance(self, event: Progress) -> None:
        facts = facts_line(event.facts, event.note)
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


def open_console(*, json: bool = False, plain: bool = False) -> Console:
    """Return a command's console: standard output, unless that belongs to a JSON document; errors beside it."""
    return Console(sys.stderr if json else sys.stdout, sys.stderr, plain=plain)


def stage_line(event: StageChanged, width: int | None = None) -> Text:
    """
    Return the line of a finished stage: stage, of what, state, time, size, version, and why it was computed.

    Args: width: columns at hand. On a narrow terminal half of the version has to do, as git abbreviates, or none of it
                 where there is a reason to tell; a longer reason stands on lines of its own.
    """
    cached = event.state == "cached"
    line = Text.assemble(
        (f"{event.stage:10} ", "bold"),
        f"{event.name:27} ",
        (f"{event.state:8} ", "cyan" if cached else "green"),
        f"{duration(event.seconds):>9} {amount(event.bytes, 'bytes'):>9}",
    )
    if cached:
        line.stylize("dim", 0, 38)
    room = None if width is None else width - line.cell_len
    version = event.version if room is None or room >= 2 + len(event.version) else event.version[:8]
    reason = event.reason
    if room is not None and reason and len(version) + len(reason) + 4 > room >= len(reason) + 2:
        version = ""  # at 80 columns there is room for one of the two, and the reason is not written elsewhere
    line.append(f"  {version}" if version else "", "dim")
    if reason and (room is None or 2 + len(version) + 2 + len(reason) <= room or not version):
        line.append(f"  {reason}", "dim")
    elif reason:
        line = Text("\n").join([line, *below(reason, INDENT, width)])
    return line


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
    where.print(Text.assemble((label, label_style), " ", (conceal(message), style)), soft_wrap=not where.is_terminal)
