"""The state of one flow run: it submits stages, notes what they used, heals what is damaged, writes its record."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, cast
from uuid import UUID

from prefect import Task, unmapped
from prefect.futures import PrefectFuture
from prefect.utilities.urls import url_for

from artifacts.archive.index import RunIndex
from artifacts.archive.order import next_number
from artifacts.archive.reasons import explain, sentence
from artifacts.engine.current import CURRENT, Outcome
from artifacts.engine.failing import Failures, Stopped, has_ended
from artifacts.engine.refresh import Refresh
from artifacts.engine.task import make_task
from artifacts.ref import Ref
from artifacts.run_record import RunRecord, Score, StageRecord
from artifacts.stage import Stage, inputs_of, uncommitted
from artifacts.store.disk import disk
from artifacts.store.files import write_atomically
from artifacts.store.foreign import own_error
from artifacts.store.holds import Hold, forget_dead
from artifacts.store.integrity import Stored
from artifacts.store.locks import FlockManager
from artifacts.store.records import RecordStorage
from artifacts.store.store import Store
from schemas.addresses import redact
from schemas.errors import ArtifactDamaged, IdxflowError, StageError, StoreError
from schemas.events import Event, RunChanged, StageChanged, emit, listening
from schemas.results import Metrics, find_caveats
from schemas.stages import STAGES
from schemas.training import History, Training

ATTEMPTS = 3
"""How often a flow's body runs when artifacts turn out damaged while they are used."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which the note of what a dead run used can go: no clean-up lasts as long."""
logger = logging.getLogger("idxflow.run")


class Run:
    """One flow run over one store; see `artifacts.recorded`."""

    def __init__(self, store: Store, flow_run: UUID, training: Training, refresh: Refresh, dataset: str) -> None:
        self.store, self.training, self.refresh, self.dataset = store, training, refresh, dataset
        self.dataset_id = ""
        self.flow_run, self.id = str(flow_run), flow_run.hex[-12:]
        self.started, self._clock = datetime.now(UTC), time.perf_counter()
        self.warnings: list[str] = []
        self.outcome: Outcome | None = None
        self._rows: dict[tuple[str, str], StageRecord] = {}
        self._order: dict[tuple[str, str], int] = {}
        self._computed: list[Ref] = []
        self._failures = Failures()
        self._futures: list[PrefectFuture[Any]] = []
        self._tasks: dict[tuple[str, bool], Task[..., Any]] = {}
        self._locks = FlockManager(store.locks)
        self._storage = RecordStorage().bind(store, self._note)
        self._reasons: dict[tuple[str, str], str] = {}
        self._saving, self._sequence = threading.Lock(), 0
        self._state, self._error = "running", cast("BaseException | None", None)
        forget_dead(store.holds, before=self.started.timestamp() - FORGOTTEN_AFTER)
        self._hold = Hold(store.holds, self.id)
        self._index = RunIndex(store)

    def submit(self, stage: Stage, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Start a stage; see `Stage.__call__`."""
        name = stage.name.format(**stage.signature.bind(*args, **kwargs).arguments)
        self._order.setdefault((stage.stage, name), len(self._order))
        anew = self.refresh.reason(stage.stage, name) is not None
        if (task := self._tasks.get((stage.stage, anew))) is None:
            task = make_task(stage, self.store, self._work, storage=self._storage, locks=self._locks, anew=anew)
            self._tasks[stage.stage, anew] = task
        args, kwargs = tuple(map(_unasked, args)), {key: _unasked(value) for key, value in kwargs.items()}
        if stage.on_main_thread:
            return task(*args, **kwargs)
        self._futures.append(future := task.submit(*args, **kwargs))
        return future

    def require(self, *results: Any) -> None:
        """
        Wait until stages have ended well; see `artifacts.engine.current.CurrentRun`.

        Raises: Stopped: one of them has not, or another stage failed meanwhile.
        """
        self._failures.await_all(results)

    def reference(self, result: Any) -> Ref:
        """Return the artifact that a stage's call returned, bound to its files; see `CurrentRun`."""
        ref = Ref.model_validate(result.result() if isinstance(result, PrefectFuture) else result)
        return ref.at(self.store.folder(ref.stage, ref.version))

    def attempt(self, body: Callable[[], Outcome]) -> None:
        """
        Run the flow's body, and again when an artifact turns out damaged: that one is then made anew.

        Raises: the first error of any stage, rather than what it led to in those that wait for it.
        """
        for left in reversed(range(ATTEMPTS)):
            self._failures.clear()
            self._futures.clear()
            self._tasks.clear()
            raised: Exception | None = None
            with listening(self._interrupt):
                try:
                    self.outcome = body()
                except Exception as error:
                    raised = error
                settled = self._settle()
            errors = self._failures.errors
            if raised and not (errors and isinstance(raised, Stopped)):
                errors.append(raised)
            if settled:
                self._check_committed()
            if not errors:
                return
            first = next((e for e in errors if isinstance(e, ArtifactDamaged)), errors[0])
            if not isinstance(first, ArtifactDamaged) or not left:
                if isinstance(first, StageError):
                    alike = {error.subject for error in errors if isinstance(error, type(first))}
                    if also := sorted(alike - {first.subject}):
                        logger.warning("%s: failed as %s did", ", ".join(also), first.subject)
                raise first
            # What was forced anew in this attempt need not be forced again in the next.
            for row in self._rows.values():
                if not row.cached:
                    self.refresh.settle(row.stage, row.name)

    def save(self, state: str, error: BaseException | None = None) -> RunRecord:
        """Write the run's record to `<home>/runs/<id>.json`, and say so."""
        self._state, self._error = state, error
        record = self._write()
        emit(RunChanged(self.id, record.state))
        return record

    def close(self) -> None:
        """
        Let go of what the run used; its record holds it from now on.

        After Ctrl-C stages may still be at work: then the end of the process lets go, and what they commit late is
        added to the record.
        """
        if all(map(has_ended, self._futures)):
            self._hold.release()
            self._index.close()

    def _write(self) -> RunRecord:
        with self._saving, self._numbered():
            record = self._record(self._state, self._error)
            with disk(self.store.runs):
                content = record.model_dump_json(indent=2).encode()
                write_atomically(self.store.runs / f"{self.id}.json", content)
        return record

    @contextlib.contextmanager
    def _numbered(self) -> Iterator[None]:
        """Take a number with the first record: by its end it can be read there."""
        if self._sequence:
            yield
            return
        try:
            with next_number(self.store) as self._sequence:
                yield
        except BaseException:
            self._sequence = 0  # nobody has read it
            raise

    def _record(self, state: str, error: BaseException | None) -> RunRecord:
        done = self.outcome if state == "completed" else None
        history = self._history(done.model) if done else None
        dashboard = url_for("flow-run", obj_id=self.flow_run)
        return RunRecord.model_validate(
            {
                "id": self.id,
                "sequence": self._sequence,
                "dataset": self.dataset,
                "dataset_id": self.dataset_id,
                "profile": self.training.profile,
                "seed": self.training.seed,
                "state": state,
                "started": self.started.isoformat(timespec="milliseconds"),
                "seconds": round(time.perf_counter() - self._clock, 3),
                "stages": tuple(sorted(self._rows.values(), key=self._place)),
                "metrics": self._scores(done.scores) if done else {},
                "caveats": find_caveats(self._metrics(done.scores)) if done else (),
                "held_out": history.held_out if history else None,
                "report": str(self.reference(done.report).file("report.html")) if done else None,
                "model": str(self.reference(done.model).file("model.keras")) if done else None,
                "dashboard": redact(dashboard) if dashboard else None,
                "flow_run": self.flow_run,
                "training": self.training,
                # What is odd about a model is odd about one that is cached, too.
                "warnings": tuple(dict.fromkeys((*self.warnings, *(history.findings if history else ())))),
                "error": None if error is None else _words(error),
            }
        )

    def _work(self, stage: Stage, arguments: dict[str, Any]) -> Ref:
        """Compute a stage, in whatever thread Prefect runs it. Raises: errors of our own; what ends the process."""
        self._failures.check()
        name = stage.name.format(**arguments)
        try:
            self._explain(stage, arguments)
            ref = stage.compute(self, arguments)
        except Stopped:
            raise
        except Exception as error:
            failed = own_error(f"{stage.stage} {name}".strip(), error)
            self._failures.add(stage.stage, name, failed)
        except BaseException as error:
            self._failures.add(stage.stage, name, error)
            raise
        else:
            self._computed.append(ref)
            return ref
        raise failed  # out here it has no context: Prefect would log that as well

    def _explain(self, stage: Stage, arguments: dict[str, Any]) -> None:
        """Put down why a stage is computed, before its artifact is there; without a reason it is computed as well."""
        parts, name = stage.parts(arguments), stage.name.format(**arguments)
        refreshed = self.refresh.reason(stage.stage, name)
        with contextlib.suppress(OSError, IdxflowError):
            taken = inputs_of(arguments)
            changes = explain(self.store, self._index, name, parts, taken, dataset=self.dataset_id, refreshed=refreshed)
            self._reasons[stage.stage, parts.version] = sentence(changes)

    def _note(self, stored: Stored, cached: bool, seconds: float) -> None:
        """Put down, and hold, an artifact that the run uses; its lock is still held."""
        manifest = stored.manifest
        self._hold.add(manifest.stage, manifest.version)
        row = StageRecord(
            stage=manifest.stage,
            name=manifest.name,
            version=manifest.version,
            cached=cached,
            seconds=round(seconds, 4),
            bytes=manifest.bytes,
            path=str(stored.folder),
            reason="" if cached else self._reasons.get((manifest.stage, manifest.version), ""),
        )
        # A later attempt finds cached what an earlier one computed: the run did compute it.
        if not (cached and (row.stage, row.version) in self._rows):
            self._rows[row.stage, row.version] = row
        state: Literal["cached", "computed"] = "cached" if cached else "computed"
        emit(StageChanged(row.stage, row.name, state, row.version, row.seconds, row.bytes, row.reason))
        if not cached:
            with contextlib.suppress(StoreError):  # the record that counts is the one of the end
                self._write()

    def _settle(self) -> bool:
        """Wait for every stage that was submitted, and collect what went wrong outside of their own code."""
        settled = self._failures.settle(self._futures)
        for future in self._futures:
            if not self._failures.errors and not future.state.is_completed():
                found = future.result(raise_on_failure=False)
                if isinstance(found, Exception):
                    self._failures.errors.append(found)
        return settled

    def _interrupt(self, event: Event) -> None:
        if CURRENT.get(None) is self:
            self._failures.interrupt(event)

    def _check_committed(self) -> None:
        for ref in self._computed:
            if (ref.stage, ref.version) not in self._rows:
                raise uncommitted(ref)

    def _metrics(self, scores: Any) -> Metrics:
        return Metrics.model_validate_json(self.reference(scores).file("metrics.json").read_bytes())

    def _scores(self, scores: Any) -> dict[str, Score]:
        metrics = self._metrics(scores)
        return {
            "train": Score(accuracy=metrics.train.accuracy, loss=metrics.train.loss),
            "test": Score(accuracy=metrics.test.accuracy, loss=metrics.test.loss),
        }

    def _history(self, model: Any) -> History:
        return History.model_validate_json(self.reference(model).file("history.json").read_bytes())

    def _place(self, row: StageRecord) -> tuple[int, int, str]:
        stage = STAGES.index(cast("Any", row.stage))
        return stage, self._order.get((row.stage, row.name), len(self._order)), row.name


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
