"""The recorder of one run: it stays where the flow runs, submits stages, notes what they did, and writes the record."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

from prefect import Task, unmapped
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.utilities.urls import url_for

from artifacts.archive.index import RunIndex
from artifacts.archive.journal import Line, forget, note
from artifacts.archive.order import next_number
from artifacts.archive.reasons import explain, sentence
from artifacts.current import CURRENT
from artifacts.engine.execution import Done, Execution
from artifacts.engine.failing import Failures, Stopped, has_ended
from artifacts.engine.foreign import own_error
from artifacts.engine.task import make_task
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.run_record import FORMAT, Record, StageRecord
from artifacts.stage import Stage
from artifacts.store.disk import disk
from artifacts.store.files import write_atomically
from artifacts.store.holds import Hold, forget_dead, let_go
from artifacts.store.store import Store
from schemas.addresses import redact
from schemas.errors import ArtifactDamaged, IdxflowError, StageError, StoreError
from schemas.events import Event, RunChanged, StageChanged, emit, listening

ATTEMPTS = 3
"""How often a flow's body runs when artifacts turn out damaged while they are used."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which the note of what a dead run used can go: no clean-up lasts as long."""
logger = logging.getLogger("idxflow.run")
State = Literal["running", "completed", "failed", "interrupted"]
T = TypeVar("T")


def home_folder() -> Path:
    """Return the folder of all run-time data: IDXFLOW_HOME, or `.idxflow` in the working folder."""
    return Path(os.environ.get("IDXFLOW_HOME") or ".idxflow").absolute()


@contextmanager
def recording(*, dataset: str = "", refresh: tuple[str, ...] = (), **facts: Any) -> Iterator[Recorder]:
    """
    Record what the Prefect flow around this block does: its stages are cached, and its record is written.

    Args:
        dataset: name of the data set that was asked for, until it is known.
        refresh: names of stages to rebuild.
        facts:   what the record holds from its beginning; see `Recorder.publish`.
    Yields: the recorder; `Recorder.attempt` runs the flow's body.
    Raises: the first error of any stage, as one of our own (see `artifacts.engine.foreign`), after the record has been
            written with state `failed`; what ends a process, after it was written with state `interrupted`.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("A recorded flow runs as a Prefect flow; call the decorated one.")
    run = Recorder(Store(home_folder()), context.flow_run.id, Refresh(refresh), dataset)
    run.publish(**facts)
    keeper, root, token = _WarningKeeper(run), logging.getLogger("idxflow"), CURRENT.set(run)
    root.addHandler(keeper)
    try:
        run.save("running")
        yield run
        run.save("completed")
    except Exception as error:
        failed = own_error(f"run {run.id}", error)
        run.save("failed", failed)
    except BaseException as error:  # Ctrl-C, a cancellation, or the reader of the output has left
        run.save("interrupted", error)
        raise
    else:
        return
    finally:
        root.removeHandler(keeper)
        CURRENT.reset(token)
        let_go(run.close)
    raise failed from None  # Prefect would log what led to it as well


class Recorder:
    """One run over one store; see `recording`, and `artifacts.current.CurrentRun`."""

    def __init__(self, store: Store, flow_run: UUID, refresh: Refresh, dataset: str) -> None:
        self.store, self.refresh, self.dataset = store, refresh, dataset
        self.dataset_id = ""
        self.flow_run, self.id = str(flow_run), flow_run.hex[-12:]
        self.started, self._clock = datetime.now(UTC), time.perf_counter()
        self.warnings: list[str] = []
        self.record: Record | None = None
        self._facts: dict[str, Any] = {}
        self._rows: dict[tuple[str, str], StageRecord] = {}
        self._order: dict[tuple[str, str], int] = {}
        self._failures = Failures()
        self._futures: list[PrefectFuture[Any]] = []
        self._tasks: dict[tuple[str, str | None], Task[..., Any]] = {}
        self._taking, self._taken = threading.RLock(), set[int]()
        self._unnoted: list[tuple[str, str]] = []
        self._saving, self._sequence = threading.Lock(), 0
        self._state: State = "running"
        self._error: BaseException | None = None
        forget_dead(store.holds, before=self.started.timestamp() - FORGOTTEN_AFTER)
        self._hold = Hold(store.holds, self.id)
        self._index = RunIndex(store)

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Any:
        """Start a stage; see `Stage.__call__`."""
        name = stage.name_of(arguments)
        self._order.setdefault((stage.stage, name), len(self._order))
        rebuild = self.refresh.reason(stage.stage, name)
        if (task := self._tasks.get((stage.stage, rebuild))) is None:
            task = make_task(stage, self.store, self.id, self.flow_run, rebuild)
            self._tasks[stage.stage, rebuild] = task
        arguments = {key: _unasked(value) for key, value in arguments.items()}
        if stage.on_main_thread:
            done = task(**arguments).result()  # of the state that it ended in
            if not done.row.cached:
                with suppress(StoreError):  # what is dear stands in the record itself, which every version reads
                    self._write()
            return done
        self._futures.append(future := task.submit(**arguments))
        return future

    def perform(self, execution: Execution) -> Done:
        """Do the work of a stage in this thread, and note it. Raises: errors of our own; what ends the process."""
        self._failures.check()
        stage, name = execution.stage.stage, execution.name
        try:
            done = execution(self._begin)
            self.take(done)
        except Stopped:
            raise
        except Exception as error:
            failed = own_error(f"{stage} {name}".strip(), error)
            self._failures.add(stage, name, failed)
        except BaseException as error:
            self._failures.add(stage, name, error)
            raise
        else:
            return done
        raise failed  # out here it has no context: Prefect would log that as well

    def take(self, done: Done) -> None:
        """Note what a stage did, wherever it did it."""
        key = (done.row.stage, done.row.version)
        with self._taking:
            self._taken.add(id(done))
            # A later attempt finds cached what an earlier one computed: the run did compute it.
            row = self._rows.get(key, done.row) if done.row.cached else done.row
            self._rows[key] = row
            if not done.row.cached:  # the row stands by now: whatever interrupts what follows, the run has made it
                self._rows[key] = row = row.model_copy(update={"reason": self._reason(done)})
            self._unnoted.append(key)
        self.warnings.extend(said for said in done.warnings if said not in self.warnings)
        state: Literal["cached", "computed"] = "cached" if done.row.cached else "computed"
        reason = "" if done.row.cached else row.reason
        emit(StageChanged(row.stage, row.name, state, row.version, done.row.seconds, row.bytes, reason))
        if not done.row.cached:
            with suppress(StoreError):  # the record that counts is the one of the end
                self._note()

    @property
    def rows(self) -> tuple[StageRecord, ...]:
        """What the stages have done so far, in the order of the graph."""
        return tuple(sorted(self._rows.values(), key=self._place))

    @property
    def saved(self) -> Record:
        """The record as it was last written. Raises: RuntimeError: it has not been."""
        if self.record is None:
            raise RuntimeError("the run has no record yet")
        return self.record

    def require(self, *results: Any) -> None:
        """
        Wait until stages have ended well; see `artifacts.current.CurrentRun`.

        Raises: Stopped: one of them has not, or another stage failed meanwhile.
        """
        self._failures.await_all(results)

    def reference(self, result: Any) -> Ref:
        """Return the artifact that a stage's call returned, bound to its files; see `CurrentRun`."""
        done: Done = result.result() if isinstance(result, PrefectFuture) else result
        return done.ref.at(self.store.folder(done.ref.stage, done.ref.version))

    def retract(self, *refs: Ref) -> None:
        """Take artifacts out of the record: the run does not stand by them, and is about to make others."""
        with self._taking:
            for ref in refs:
                self._rows.pop((ref.stage, ref.version), None)

    def publish(self, **facts: Any) -> None:
        """Put facts into the record, beside its own fields; see `CurrentRun`."""
        self._facts |= facts

    def attempt(self, body: Callable[[], T]) -> T:
        """
        Run the flow's body, and again when an artifact turns out damaged: that one is then rebuilt.

        Returns: what the body returns, once every stage that it has submitted has ended well.
        Raises:  the first error of any stage, rather than what it led to in those that wait for it.
        """
        left = ATTEMPTS
        while True:
            left -= 1
            self._failures.clear()
            self._futures.clear()
            self._tasks.clear()
            self._taken.clear()
            raised: Exception | None = None
            with listening(self._interrupt):
                try:
                    returned = body()
                except Exception as error:
                    raised = error
                self._settle()
            errors = self._failures.errors
            if raised and not (errors and isinstance(raised, Stopped)):
                errors.append(raised)
            if not errors:
                return returned
            first = next((e for e in errors if isinstance(e, ArtifactDamaged)), errors[0])
            if not isinstance(first, ArtifactDamaged) or not left:
                if isinstance(first, StageError):
                    alike = {error.subject for error in errors if isinstance(error, type(first))}
                    if also := sorted(alike - {first.subject}):
                        logger.warning("%s: failed as %s did", ", ".join(also), first.subject)
                # Here it is nobody's context yet: out of the block around it a library's exception would be one.
                raise own_error(f"run {self.id}", first) if isinstance(first, Exception) else first
            # What was rebuilt on purpose in this attempt need not be rebuilt again in the next.
            for row in self._rows.values():
                if not row.cached:
                    self.refresh.settle(row.stage, row.name)

    def save(self, state: State, error: BaseException | None = None) -> None:
        """Write the run's record to `<home>/runs/<id>.json`, and say so."""
        self._state, self._error = state, error
        self.record = self._write()
        with suppress(StoreError):  # lines of an earlier attempt at this flow run, or what the record says by now
            forget(self.store, self.id)
        emit(RunChanged(self.id, state))

    def close(self) -> None:
        """
        Let go of what the run used; its record holds it from now on.

        After Ctrl-C stages may still be at work: then the end of the process lets go, and what they commit late is
        added to the record.
        """
        if all(map(has_ended, self._futures)):
            self._hold.release()
            self._index.close()

    def _reason(self, done: Done) -> str:
        """Say why a stage was computed; without a reason it was computed as well."""
        ref = done.ref
        with suppress(OSError, IdxflowError):
            if manifest := self.store.manifest(ref.stage, ref.version):
                return sentence(
                    explain(
                        self.store,
                        self._index,
                        ref.name,
                        manifest.parts,
                        manifest.inputs,
                        dataset=self.dataset_id,
                        refreshed=done.rebuilt,
                        made=self.id,
                        unfinished=done.unfinished,
                    )
                )
        return ""

    def _begin(self) -> None:
        """Put down what the run has found, as a stage begins to be computed. Raises: Stopped: nobody wants it."""
        self._failures.check()
        with suppress(StoreError):
            self._note()

    def _note(self) -> None:
        """Put down what the run has used since the last time: the record follows at the end, or once more after it."""
        if self._state != "running":
            self._write()
            return
        with self._taking:
            unnoted, self._unnoted = [self._rows[key] for key in dict.fromkeys(self._unnoted)], []
        seconds, warnings = round(time.perf_counter() - self._clock, 3), tuple(self.warnings)
        lines = [
            Line(
                dataset=self.dataset,
                dataset_id=self.dataset_id,
                seconds=seconds,
                warnings=warnings,
                place=self._place(row)[0],
                stage=row,
            )
            for row in unnoted
        ]
        if lines:
            note(self.store, self.id, lines)

    def _write(self) -> Record:
        with self._saving, self._numbered():
            record = self._made()
            with disk(self.store.runs):
                content = record.model_dump_json(indent=2).encode()
                write_atomically(self.store.runs / f"{self.id}.json", content)
        return record

    @contextmanager
    def _numbered(self) -> Iterator[None]:
        """Take a number with the first record: by its end it can be read there."""
        if self._sequence:
            yield
            return
        try:
            with next_number(self.store, self._index) as self._sequence:
                yield
        except BaseException:
            self._sequence = 0  # nobody has read it
            raise

    def _made(self) -> Record:
        dashboard = url_for("flow-run", obj_id=self.flow_run)
        return Record.model_validate(
            {
                **self._facts,
                "format": FORMAT,
                "id": self.id,
                "sequence": self._sequence,
                "dataset": self.dataset,
                "dataset_id": self.dataset_id,
                "state": self._state,
                "started": self.started.isoformat(timespec="milliseconds"),
                "seconds": round(time.perf_counter() - self._clock, 3),
                "stages": self.rows,
                "dashboard": redact(dashboard) if dashboard else None,
                "flow_run": self.flow_run,
                "warnings": tuple(dict.fromkeys(self.warnings)),
                "error": None if self._error is None else _words(self._error),
            }
        )

    def _settle(self) -> None:
        """Wait for every stage that was submitted, and collect what it did and what went wrong out of this process."""
        self._failures.settle(self._futures)
        for future in self._futures:
            if not has_ended(future):
                continue
            if future.state.is_completed():
                if id(done := future.result()) not in self._taken:
                    self.take(done)
            elif not self._failures.errors:
                found = future.result(raise_on_failure=False)
                if isinstance(found, Exception):
                    self._failures.errors.append(found)

    def _interrupt(self, event: Event) -> None:
        if CURRENT.get(None) is self:
            self._failures.interrupt(event)

    def _place(self, row: StageRecord) -> tuple[int, str]:
        return self._order.get((row.stage, row.name), len(self._order)), row.name


class _WarningKeeper(logging.Handler):
    """Puts every warning of idxflow's loggers into a run's record, once; not those of another run in this process."""

    def __init__(self, run: Recorder) -> None:
        super().__init__(logging.WARNING)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        # Handlers run where the warning was logged. A thread that belongs to no run may work for any.
        if CURRENT.get(self._run) is self._run and (message := record.getMessage()) not in self._run.warnings:
            self._run.warnings.append(message)


def _unasked(argument: Any) -> Any:
    """
    Wrap a future, which Prefect unwraps once it has waited for it.

    Of a bare one it asks the API for the state first, whether it runs: a request an argument, and no answer helps.
    """
    return unmapped(argument) if isinstance(argument, PrefectFuture) else argument


def _words(error: BaseException) -> str:
    """Say what ended a run; the text of what ends a process is no help to anybody."""
    if isinstance(error, Exception):
        return str(error) or type(error).__name__
    return "Interrupted before its end; what was finished is stored."
