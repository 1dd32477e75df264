"""The live part of a terminal: what runs now, with a bar where there is something to count."""

from __future__ import annotations

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from schemas.events import Progress, StageChanged, StageFailed
from schemas.text import amount, duration, progress_of

WAITS = ": TensorFlow starts, compiles, does the first epoch"
"""What the row of a training waits for, as long as no epoch is done."""
LONGEST = 40
"""Columns of a bar, at most."""


class Board:
    """The live part of a terminal: what runs now."""

    def __init__(self, terminal: Terminal) -> None:
        # The bar, the only column that wraps, gets the width that names and figures leave.
        columns = (
            SpinnerColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.description}"),
            _Bar(bar_width=None, table_column=Column(max_width=LONGEST)),
            _Figures(table_column=Column(no_wrap=True)),
        )
        self._bars = Bars(*columns, console=terminal)
        self._rows: dict[tuple[str, str], TaskID] = {}
        self._facts: dict[str, str] = {}
        self._waiting: dict[TaskID, str] = {}

    def render(self) -> RenderableType:
        """Return what to draw."""
        return Group(self._bars.get_renderable(), *(Text(f"  {facts}", "dim") for facts in self._facts.values()))

    def start(self, event: StageChanged) -> None:
        """Add a row."""
        if (event.stage, event.name) not in self._rows:
            title = f"{event.stage} {event.name}".strip()
            waits = event.stage == "train"
            row = self._rows[event.stage, event.name] = self._add(title + (WAITS if waits else ""))
            if waits:
                self._waiting[row] = title

    def advance(self, event: Progress, facts: str) -> None:
        """Move the bar of the row that the event is about."""
        row = next((row for key, row in self._rows.items() if event.subject in key), None)
        if row is None:
            row = self._rows["", event.subject] = self._add(event.subject)
        if row in self._waiting:
            self._bars.update(row, description=self._waiting.pop(row))
        if event.done < next(task.completed for task in self._bars.tasks if task.id == row):
            self._bars.reset(row)  # the next mirror starts from the beginning
        self._bars.update(row, completed=event.done, total=event.total, unit=event.unit)
        if facts:
            self._facts[event.subject] = facts

    def finish(self, event: StageChanged | StageFailed) -> None:
        """Remove a row; its line is printed above."""
        for key in ((event.stage, event.name), ("", event.name or event.stage)):
            if key in self._rows:
                self._bars.remove_task(self._rows.pop(key))
        self._facts.pop(event.name or event.stage, None)

    def _add(self, title: str) -> TaskID:
        return self._bars.add_task(title, total=None, unit="")


class _Bar(BarColumn):
    """A bar where there is something to count, as wide as there is room."""

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]  # nothing, where there is nothing to count
        """Return a bar, or nothing."""
        return super().render(task) if task.fields["unit"] else Text()


class _Figures(ProgressColumn):
    """Amount, speed and time left; the time so far where nothing is counted."""

    def render(self, task: Task) -> Text:
        """Return the figures of one row."""
        if not (unit := task.fields["unit"]):
            return Text(duration(task.elapsed or 0.0), "dim")
        left, speed = task.time_remaining, task.speed
        figures = [progress_of(int(task.completed), None if task.total is None else int(task.total), unit)]
        figures += [f"{amount(speed, unit)}/s"] if speed else []
        figures += [f"{duration(left)} left"] if speed and left else []
        return Text(" ".join(figures), no_wrap=True)
