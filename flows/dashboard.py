"""
What a person sees of a run in Prefect's dashboard, without reading its log.

The run's name and tags, bars of what takes long, a table and a page when it has ended. It listens to what the stages
say of themselves (`schemas.events`); neither they nor the store know of it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from textwrap import shorten

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import ValidationError

from artifacts.current import CURRENT, CurrentRun
from artifacts.store.holds import lasting
from flows.alarm import sound_alarm
from flows.bars import Bars
from flows.differing import differing, in_words
from flows.noticeboard import Noticeboard
from flows.run_record import RunRecord
from flows.summary import headline, metrics_table, nothing_changed, report_place, summary_page
from schemas.events import Event, Progress, StageChanged, listening
from schemas.results import METRICS
from schemas.text import share
from schemas.training import Training

TICK = 1.0
"""Seconds between two looks at what has changed; a run that ends before the first one is shown once, when it has."""
LONGEST = 60
"""Characters of what differs from the profile, in a name; the tags have all of it."""
PATIENCE = 10.0
"""Seconds that a run which has ended waits for an update under way."""
logger = logging.getLogger("idxflow.dashboard")


class Dashboard:
    """
    One run in the dashboard.

    Args:
        training: the configuration: what it has otherwise than its profile is in the run's name and tags.
        bound:    test accuracy in [0, 1] below which to raise the alarm; None for no alarm.
    """

    def __init__(self, flow_run: FlowRun, training: Training, bound: float | None) -> None:
        self._flow_run, self._profile, self._bound = flow_run, training.profile, bound
        self._differs = differing(training.model_dump(mode="json"))
        self._board = Noticeboard(flow_run)
        self._bars = Bars(self._board)
        self._run: CurrentRun | None = None
        self._chosen = self._named = self._judged = False
        self._ended = threading.Event()

    def show(self, event: Event) -> None:
        """Take in an event of this run; from any thread, and without waiting for anybody."""
        run = CURRENT.get(None)
        if run is None or run.flow_run != str(self._flow_run.id):
            return  # another run of this process
        self._run = run
        match event:
            case Progress():
                self._chosen = True
                self._bars.note(event)
            case StageChanged():
                self._chosen = True
                if event.stage == "evaluate" and event.state != "started":
                    with self._board.writing():
                        self._judge(run, event)

    @contextmanager
    def living(self) -> Iterator[None]:
        """Show what goes on for as long as the block runs."""
        context = copy_context()
        thread = threading.Thread(target=lambda: context.run(self._tick), name="dashboard", daemon=True)
        thread.start()
        try:
            with listening(self.show):
                yield
        finally:
            self._ended.set()
            thread.join(PATIENCE)

    def close(self, ending: str) -> None:
        """Show how the run ended: `completed`, `failed` or `interrupted`; of an interrupted one the name has to do."""
        record = self._record()
        if record and nothing_changed(record):
            logger.info("Nothing changed: all %d stages cached.", len(record.stages))
        with self._board.writing():
            if ending == "interrupted" or record is None:
                with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # who ends a run does not want to wait
                    self._rename(ending)
                return
            self._bars.show()
            done = record.state == "completed"
            result = share(record.metrics["test"].accuracy) if done else ending
            self._rename(result, unchanged=nothing_changed(record))
            if done:
                self._board.post_table(self._key("metrics"), metrics_table(record), headline(record))
            # A key stays for good: none for a data set that may not exist. A page is large: none that is there already.
            if self._chosen and not (nothing_changed(record) and self._has_page(record)):
                self._board.post_page(self._key("summary"), summary_page(record), headline(record))

    def _has_page(self, record: RunRecord) -> bool:
        """Tell whether the newest page of this kind is of the same report."""
        report = report_place(record)
        return report is not None and self._board.tells(self._key("summary"), report)

    @property
    def _dataset(self) -> str:
        """The data set's name; before it is chosen the name, or the file's, that was asked for."""
        return Path(self._run.dataset if self._run else "").stem or "no-data-set"

    def _key(self, kind: str) -> str:
        """Return the key of an artifact, of lower-case letters, digits and dashes; all runs of a kind share it."""
        dataset = (self._run and self._run.dataset_id) or self._dataset
        return re.sub("[^a-z0-9]+", "-", f"{kind}-{dataset}-{self._profile}".lower()).strip("-")

    def _tick(self) -> None:
        if self._ended.wait(TICK):
            return
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # the next look makes up for one that fails
            while not self._ended.is_set():
                with self._board.writing():
                    if self._chosen and not self._named:
                        self._rename()
                        self._named = True
                    self._bars.show()
                self._ended.wait(TICK)

    def _rename(self, ending: str = "", *, unchanged: bool = False) -> None:
        differs = shorten(in_words(self._differs), LONGEST, placeholder=" ...")
        name = " / ".join(filter(None, (self._dataset, self._profile, differs, ending)))
        own = (in_words({field: value}) for field, value in self._differs.items())
        self._board.rename(name, (self._dataset, self._profile, *own, *(("nothing-changed",) if unchanged else ())))

    def _judge(self, run: CurrentRun, event: StageChanged) -> None:
        """Hold the test accuracy against the bound, once."""
        if self._bound is not None and not self._judged:
            self._judged = True
            metrics = run.store.folder(event.stage, event.version) / METRICS
            sound_alarm(metrics, self._bound, self._flow_run, run.dataset, self._profile)

    def _record(self) -> RunRecord | None:
        """Return the run's record, as it was saved at its end."""
        if self._run is None:
            return None
        try:
            return RunRecord.model_validate_json((self._run.store.runs / f"{self._run.id}.json").read_bytes())
        except (OSError, ValidationError):
            return None


@contextmanager
def shown(training: Training, bound: float | None) -> Iterator[None]:
    """
    Show the run that is recorded in this block in Prefect's dashboard.

    Args:
        training: the configuration.
        bound:    test accuracy in [0, 1] below which to raise the alarm of `flows.alarm`; None for no alarm.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield  # `recording` says how it is meant to be used
        return
    dashboard = Dashboard(context.flow_run, training, bound)
    with logging_to_api(), lasting():  # the page is of what the run holds
        try:
            with dashboard.living():
                yield
        except BaseException as error:
            dashboard.close("failed" if isinstance(error, Exception) else "interrupted")
            raise
        dashboard.close("completed")


@contextmanager
def logging_to_api() -> Iterator[None]:
    """Send what idxflow's loggers say, from INFO on, to the run's log, if Prefect's settings do not so already."""
    root = logging.getLogger("idxflow")
    handler = None if any(isinstance(each, APILogHandler) for each in root.handlers) else APILogHandler()
    level = root.level
    if handler:
        root.addHandler(handler)
    if not root.isEnabledFor(logging.INFO):
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        if handler:
            root.removeHandler(handler)
