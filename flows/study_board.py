"""A sweep in Prefect's dashboard: its name, a bar of its trials, bars of those at work, and the study's page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from artifacts.current import CURRENT
from artifacts.store.holds import lasting
from flows.bars import Bars
from flows.dashboard import logging_to_api
from flows.noticeboard import Noticeboard
from flows.study_page import study_page
from schemas.events import Event, Progress, listening
from schemas.text import share
from schemas.tuning import STUDY, Study, TrialEnded

if TYPE_CHECKING:
    from artifacts.engine.recorder import Recorder
    from flows.sweeping import Swept

TICK = 1.0
"""Seconds between two looks at what has changed."""
PATIENCE = 10.0
"""Seconds that a sweep which has ended waits for an update under way."""


class StudyBoard:
    """One sweep in the dashboard. Args: flow_run: None where there is no dashboard."""

    def __init__(self, run: Recorder, flow_run: FlowRun) -> None:
        self._run, self._board = run, Noticeboard(flow_run)
        self._bars = Bars(self._board)
        self._trials: UUID | None = None
        self._done: set[int] = set()
        self._shown = self._of = 0
        self._best = ""
        self._ended = threading.Event()

    @contextmanager
    def living(self) -> Iterator[None]:
        """Show what goes on for as long as the block runs."""
        context = copy_context()
        thread = threading.Thread(target=lambda: context.run(self._tick), name="study", daemon=True)
        thread.start()
        try:
            with listening(self.show):
                yield
        finally:
            self._ended.set()
            thread.join(PATIENCE)

    def show(self, event: Event) -> None:
        """Take in an event; from any thread, and without waiting for anybody."""
        if (run := CURRENT.get(None)) is not None and run is not self._run:
            return  # another run of this process
        match event:
            case Progress():
                self._bars.note(event)
            case TrialEnded():
                self._done.add(event.number)
                self._of = event.of
                if event.best:
                    self._best = f"best: trial {event.number}, {event.said}"

    def close(self, swept: Swept) -> None:
        """Show what came of it."""
        found = Study.model_validate_json(self._run.reference(swept.study).file(STUDY).read_bytes())
        with self._board.writing():
            self._move()
            winner = found.winner
            told = share(winner.accuracy) if winner and winner.accuracy is not None else "no winner"
            name = f"{swept.rules.dataset} / tune / {told}"
            self._board.rename(name, (swept.rules.dataset, "tune"))
            key = re.sub("[^a-z0-9]+", "-", f"study-{self._run.dataset_id}".lower()).strip("-")
            self._board.post_page(key, study_page(found), name)

    def _tick(self) -> None:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # the next look makes up for one that fails
            while not self._ended.wait(TICK):
                with self._board.writing():
                    self._move()
                    self._bars.show()

    def _move(self) -> None:
        """Show how many trials have ended."""
        if (done := len(self._done)) == self._shown:
            return
        words = ": ".join(filter(None, [f"{done}/{self._of} trials", self._best]))
        if self._trials:
            self._board.move(self._trials, done / self._of, words)
        else:
            self._trials = self._board.post_progress(done / self._of, words, None)
        self._shown = done


@contextmanager
def showing(run: Recorder) -> Iterator[StudyBoard]:
    """Show the sweep that is recorded in this block in Prefect's dashboard."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("A sweep runs as a Prefect flow; call the decorated one.")
    board = StudyBoard(run, context.flow_run)
    with logging_to_api(), lasting(), board.living():
        yield board
