"""What a run has done so far, and its record: noted stage by stage, and written whole at its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal

from artifacts.archive.index import RunIndex
from artifacts.archive.journal import Line, forget
from artifacts.archive.journal import note as write_lines
from artifacts.archive.order import next_number
from artifacts.archive.reasons import explain, sentence
from artifacts.current import CURRENT
from artifacts.engine.execution import Done, Execution
from artifacts.engine.foreign import own_error
from artifacts.engine.tracing import committed
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.remote.background import Background
from artifacts.remote.link import link_to
from artifacts.run_record import FORMAT, Record, StageRecord
from artifacts.stage import Stage
from artifacts.store.disk import disk
from artifacts.store.files import write_atomically
from artifacts.store.holds import Hold, forget_dead, let_go
from artifacts.store.store import Store
from schemas.addresses import redact
from schemas.errors import IdxflowError, StoreError
from schemas.events import Event, RunChanged, StageChanged, emit
from schemas.remote import RemotePlace

ATTEMPTS = 3
"""How often a flow's body runs when artifacts turn out damaged while they are used."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which the note of what a dead run used can go: no clean-up lasts as long."""
State = Literal["running", "completed", "failed", "interrupted"]


class RunLog:
    """
    What one run over one store has done.

    Args:
        id:       12 hexadecimal digits.
        flow_run: id of the Prefect flow run; empty where there is none.
        refresh:  what to rebuild.
        dataset:  name of the data set that was asked for, until it is known.
        remote:   what is asked for artifacts, and what those that are computed are put into; None: no remote.
    """

    def __init__(
        self,
        store: Store,
        id: str,  # noqa: A002 - as in the record
        flow_run: str,
        refresh: Refresh,
        dataset: str,
        *,
        remote: RemotePlace | None = None,
    ) -> None:
        self.store, self.refresh, self.dataset = store, refresh, dataset
        self.dataset_id = ""
        self.flow_run, self.id = flow_run, id
        self.started, self._clock = datetime.now(UTC), time.perf_counter()
        self.warnings: list[str] = []
        self.record: Record | None = None
        self._facts: dict[str, Any] = {}
        self._rows: dict[tuple[str, str, str], StageRecord] = {}
        self._order: dict[tuple[str, str], int] = {}
        self._taking, self._taken = threading.RLock(), set[int]()
        self._unnoted: list[tuple[str, str, str]] = []
        self._saving, self._sequence = threading.Lock(), 0
        self._state: State = "running"
        self._error: BaseException | None = None
        forget_dead(store.holds, before=self.started.timestamp() - FORGOTTEN_AFTER)
        self._hold = Hold(store.holds, self.id)
        self.remote = remote or None
        self._pushes = Background(link_to(remote, store.home), store, self.id) if remote else None
        self._index = RunIndex(store)

    def place(self, stage: str, name: str) -> None:
        """Take a stage, and of what it is, into the order of the graph."""
        self._order.setdefault((stage, name), len(self._order))

    def begin_again(self) -> None:
        """Forget what was taken in an attempt; the rows of it stay."""
        self._taken.clear()

    def has_taken(self, done: Done) -> bool:
        """Tell whether what a stage did was noted in this attempt."""
        return id(done) in self._taken

    def settle_refreshed(self) -> None:
        """What was rebuilt on purpose in this attempt need not be rebuilt again in the next."""
        for row in self._rows.values():
            if not row.cached:
                self.refresh.settle(row.stage, row.name)

    def take(self, done: Done) -> None:
        """Note what a stage did, wherever it did it."""
        key = (done.row.stage, done.row.version, done.row.name)  # two trials, or two parts, may come to one artifact
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
            if self._pushes:
                self._pushes.add(row.stage, row.version)
            with suppress(StoreError):  # the record that counts is the one of the end
                self.note()

    def take_alias(self, name: str, dataset: str) -> None:
        """Take an alias from the remote, if other hosts have moved it; see `artifacts.remote.taking`."""
        if self._pushes:
            from artifacts.remote.taking import take_alias  # few runs promote

            take_alias(self._pushes.link, self.store, self.id, name, dataset)

    def seems_settled(self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str]) -> bool:
        """Tell whether bundles are committed, or may be in the remote, and nothing below them is to be rebuilt."""
        if any(map(self.refresh.concerns, (stage.stage, *below))):
            return False
        return bool(self.remote) or committed(self.store, stage, calls)

    def settled(
        self, stage: Stage, calls: Sequence[Mapping[str, Any]], below: Collection[str], event: Event
    ) -> list[Done] | None:
        """Take bundles if all are there with all their members; see `artifacts.current.CurrentRun`."""
        if any(map(self.refresh.concerns, (stage.stage, *below))):
            return None
        found = list[Done]()
        for arguments in calls:
            done, bound = None, stage.bind(**arguments)
            with suppress(IdxflowError, OSError):  # whatever is wrong, the walk over its members meets and tells it
                done = Execution(self.store, self.id, self.flow_run, stage, bound, remote=self.remote).stored()
            if done is None:
                return None
            found.append(done)
        for done in found:
            self.place(stage.stage, done.row.name)
            self.take(done)
        emit(event)
        return found

    def end_pushes(self) -> None:
        """Wait for what is being pushed, not too long, say what is not there by then, and put the record there too."""
        if self._pushes is None or self.record is None:
            return
        try:
            said = len(self.warnings)
            self._pushes.settle()
            self._pushes.send(self.record)
            if len(self.warnings) > said:
                with suppress(StoreError):
                    self.record = self.write()
        finally:
            self._pushes.close()

    @property
    def rows(self) -> tuple[StageRecord, ...]:
        """What the stages have done so far, in the order of the graph."""
        return tuple(sorted(self._rows.values(), key=self._place_of))

    @property
    def saved(self) -> Record:
        """The record as it was last written. Raises: RuntimeError: it has not been."""
        if self.record is None:
            raise RuntimeError("the run has no record yet")
        return self.record

    def retract(self, *refs: Ref) -> None:
        """Take artifacts out of the record: the run does not stand by them, and is about to make others."""
        with self._taking:
            gone = {(ref.stage, ref.version) for ref in refs}
            self._rows = {key: row for key, row in self._rows.items() if key[:2] not in gone}

    def publish(self, **facts: Any) -> None:
        """Put facts into the record, beside its own fields; see `CurrentRun`."""
        self._facts |= facts

    def save(self, state: State, error: BaseException | None = None) -> None:
        """Write the run's record to `<home>/runs/<id>.json`, and say so."""
        self._state, self._error = state, error
        self.record = self.write()
        with suppress(StoreError):  # lines of an earlier attempt at this flow run, or what the record says by now
            forget(self.store, self.id)
        emit(RunChanged(self.id, state))

    def close(self) -> None:
        """Let go of what the run used; its record holds it from now on."""
        self._hold.release()
        self._index.close()
        if self._pushes:
            self._pushes.close()

    def _reason(self, done: Done) -> str:
        """Say why a stage was computed; without a reason it was computed as well."""
        ref = done.ref
        with suppress(OSError, IdxflowError):
            if manifest := self.store.manifest(ref.stage, ref.version):
                return sentence(
                    explain(
                        self.store,
                        self._index,
                        ref.name if done.called else done.row.name,
                        manifest.parts,
                        manifest.inputs,
                        dataset=self.dataset_id,
                        refreshed=done.rebuilt,
                        made=self.id,
                        unfinished=done.unfinished,
                    )
                )
        return ""

    def note(self) -> None:
        """Put down what the run has used since the last time: the record follows at the end, or once more after it."""
        if self._state != "running":
            self.write()
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
                place=self._place_of(row)[0],
                stage=row,
            )
            for row in unnoted
        ]
        if lines:
            write_lines(self.store, self.id, lines)

    def write(self) -> Record:
        """Write the record as it is now."""
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
        dashboard = self._dashboard()
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

    def _dashboard(self) -> str | None:
        """Return the address of the run's page; None: it has none."""
        return None

    def _place_of(self, row: StageRecord) -> tuple[int, str]:
        return self._order.get((row.stage, row.name), len(self._order)), row.name


@contextmanager
def logging_run(run: RunLog) -> Iterator[None]:
    """
    Make a run the current one, and write its record: at the beginning, and at the end of the block.

    Raises: as `artifacts.engine.recorder.recording`.
    """
    keeper, root, token = _WarningKeeper(run), logging.getLogger("idxflow"), CURRENT.set(run)  # type: ignore[arg-type]  # a kind of it
    root.addHandler(keeper)
    try:
        run.save("running")
        yield
        run.save("completed")
    except Exception as error:
        failed = own_error(f"run {run.id}", error)
        run.save("failed", failed)
        run.end_pushes()
    except BaseException as error:  # Ctrl-C, a cancellation, or the reader of the output has left
        run.save("interrupted", error)
        raise
    else:
        run.end_pushes()  # the record says completed by now, whatever becomes of that
        return
    finally:
        root.removeHandler(keeper)
        CURRENT.reset(token)
        let_go(run.close)
    raise failed from None  # Prefect would log what led to it as well


class _WarningKeeper(logging.Handler):
    """Puts every warning of idxflow's loggers into a run's record, once; not those of another run in this process."""

    def __init__(self, run: RunLog) -> None:
        super().__init__(logging.WARNING)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        # Handlers run where the warning was logged. A thread that belongs to no run may work for any.
        if CURRENT.get(self._run) is self._run and (message := record.getMessage()) not in self._run.warnings:
            self._run.warnings.append(message)


def _words(error: BaseException) -> str:
    """Say what ended a run; the text of what ends a process is no help to anybody."""
    if isinstance(error, Exception):
        return str(error) or type(error).__name__
    return "Interrupted before its end; what was finished is stored."
