"""Bars of the work under way, in Prefect's dashboard: downloads by their bytes, training by its epochs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from uuid import UUID

from prefect.context import TaskRunContext

from flows.noticeboard import Noticeboard
from schemas.events import Progress
from schemas.text import facts_line, progress_of


@dataclass
class _Bar:
    task_run: UUID | None
    latest: Progress
    shown: Progress | None = None
    id: UUID | None = None


class Bars:
    """
    The bars of one run.

    To note how far something is costs next to nothing; to show it costs a request for each bar that has moved. What
    was done before it was first shown gets no bar.
    """

    def __init__(self, board: Noticeboard) -> None:
        self._board = board
        self._bars: dict[str, _Bar] = {}
        self._lock = threading.Lock()

    def note(self, event: Progress) -> None:
        """Note how far something is; in the thread that works on it."""
        with self._lock:
            if bar := self._bars.get(event.subject):
                bar.latest = event
                return
            context = TaskRunContext.get()
            self._bars[event.subject] = _Bar(context.task_run.id if context else None, event)

    def show(self) -> None:
        """Show what has moved since the last call."""
        with self._lock:
            moved = [(bar, bar.latest) for bar in self._bars.values() if bar.latest is not bar.shown]
        for bar, event in moved:
            if not event.total:
                continue  # a bar of unknown length
            share, text = min(event.done / event.total, 1.0), describe(event)
            if bar.id:
                self._board.move(bar.id, share, text)
            elif event.done < event.total:
                bar.id = self._board.post_progress(share, text, bar.task_run)
            bar.shown = event


def describe(event: Progress) -> str:
    """Say how far something is: `a.gz: 3.1/9.9 MB`, `train: 12/50 epochs: loss 0.0712, accuracy 98.91 %, ...`."""
    how_far = progress_of(event.done, event.total, event.unit)
    return ": ".join(filter(None, [event.subject, how_far, facts_line(event.facts, event.note)]))
