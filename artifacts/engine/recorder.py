"""The recorder of one run: it stays where the flow runs, submits stages, notes what they did, and writes the record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID

from prefect import Task, unmapped
from prefect.context import FlowRunContext
from prefect.futures import PrefectConcurrentFuture, PrefectFuture
from prefect.utilities.urls import url_for

from artifacts.current import CURRENT, Call
from artifacts.engine.execution import Done, Execution, as_references
from artifacts.engine.failing import Failures, has_ended
from artifacts.engine.foreign import own_error
from artifacts.engine.run_log import ATTEMPTS, RunLog, logging_run
from artifacts.engine.stopping import Stopped
from artifacts.engine.task import make_task
from artifacts.engine.workers import Executor, Threads
from artifacts.environment import home_folder
from artifacts.ref import Ref
from artifacts.refresh import Refresh
from artifacts.remote.opening import remote_place
from artifacts.stage import Stage
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, IdxflowError, StageError, StoreError
from schemas.events import Event, StageFailed, emit, listening
from schemas.remote import RemotePlace

logger = logging.getLogger("idxflow.run")
T = TypeVar("T")


@contextmanager
def recording(
    *, dataset: str = "", refresh: tuple[str, ...] = (), workers: Executor | None = None, **facts: Any
) -> Iterator[Recorder]:
    """
    Record what the Prefect flow around this block does: its stages are cached, and its record is written.

    Args:
        dataset: name of the data set that was asked for, until it is known.
        refresh: names of stages to rebuild.
        workers: what carries out executions, and is closed at the end; None: the threads of the flow.
        facts:   what the record holds from its beginning; see `Recorder.publish`.
    Yields: the recorder; `Recorder.attempt` runs the flow's body.
    Raises: the first error of any stage, as one of our own (see `artifacts.engine.foreign`), after the record has been
            written with state `failed`; what ends a process, after it was written with state `interrupted`.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("A recorded flow runs as a Prefect flow; call the decorated one.")
    workers = workers or Threads()
    with closing(workers):
        store, flow_run = Store(home_folder()), context.flow_run.id
        run = Recorder(store, flow_run, Refresh(refresh), dataset, workers, remote=remote_place())
        run.publish(**facts)
        with logging_run(run):
            yield run


class Recorder(RunLog):
    """One run of a Prefect flow over one store; see `recording`, and `artifacts.current.CurrentRun`."""

    def __init__(
        self,
        store: Store,
        flow_run: UUID,
        refresh: Refresh,
        dataset: str,
        workers: Executor | None = None,
        *,
        remote: RemotePlace | None = None,
    ) -> None:
        super().__init__(store, flow_run.hex[-12:], str(flow_run), refresh, dataset, remote=remote)
        self.workers = workers or Threads()
        self._failures = Failures()
        self._futures: list[PrefectFuture[Any]] = []
        self._outcomes: dict[tuple[str, str], IdxflowError] = {}
        self._early: dict[tuple[str, str], PrefectConcurrentFuture[Any]] = {}
        self._tasks: dict[tuple[str, str | None], Task[..., Any]] = {}
        self.many: frozenset[tuple[str, str]] = frozenset()
        """Stages, with what each is of, that are so many that those found in the store get no task."""

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> Any:
        """Start a stage; see `Stage.__call__`."""
        name = stage.name_of(arguments)
        self.place(stage.stage, name)
        rebuild = self.refresh.reason(stage.stage, name)
        if (stage.stage, name) in self.many and (found := self._found(stage, arguments, rebuild)):
            return found
        if (task := self._tasks.get((stage.stage, rebuild))) is None:
            task = make_task(stage, self.store, self.id, self.flow_run, rebuild, remote=self.remote)
            self._tasks[stage.stage, rebuild] = task
        arguments = {key: _unasked(value) for key, value in arguments.items()}
        if stage.on_main_thread:
            done = task(**arguments).result()  # of the state that it ended in
            if not done.row.cached:
                with suppress(StoreError):  # what is dear stands in the record itself, which every version reads
                    self.write()
            return done
        self._futures.append(future := task.submit(**arguments))
        return future

    def _found(self, stage: Stage, arguments: dict[str, Any], rebuild: str | None) -> Done | None:
        """
        Take one of many artifacts if it is there, without a task: that takes Prefect twenty times as long.

        Returns: None where it has to be computed, or something is wrong with it: its task tells.
        """
        if any(map(_awaited, arguments.values())):
            return None
        bound = {key: as_references(value) for key, value in arguments.items()}
        done = None
        with suppress(IdxflowError, OSError):
            done = Execution(self.store, self.id, self.flow_run, stage, bound, rebuild).stored()
        if done:
            self.take(done)
        return done

    def try_all(self, calls: Sequence[Call], early: Sequence[Call] = (), /) -> list[Done | IdxflowError]:
        """
        Do executions beside each other whose failure is an outcome; see `artifacts.current.CurrentRun`.

        Raises: Stopped: another error ended one of them; `attempt` raises it, or heals what is damaged.
        """
        try:
            futures = [self._called(call) for call in calls]
            self._early |= {_place(call): self._called(call) for call in early}
            self._failures.await_ends(futures)
        except BaseException as error:
            if not isinstance(error, Exception):  # Ctrl-C: the flow's end would wait for what its threads do
                self._failures.give_up()
            raise
        return [self._came_of(call, future) for call, future in zip(calls, futures, strict=True)]

    def _called(self, call: Call) -> PrefectConcurrentFuture[Any]:
        """Submit what a call asks for, unless that was done early."""
        if early := self._early.pop(_place(call), None):
            return early
        self.place(*_place(call))
        rebuild = self.refresh.reason(*_place(call))
        task = make_task(
            call.stage,
            self.store,
            self.id,
            self.flow_run,
            rebuild,
            call.called,
            optional=True,
            remote=self.remote,
            turn=len(self._futures),
        )
        future: PrefectConcurrentFuture[Any] = task.submit(
            **{key: _unasked(value) for key, value in call.arguments.items()}
        )
        self._futures.append(future)
        return future

    def _came_of(self, call: Call, future: PrefectFuture[Any]) -> Done | IdxflowError:
        future.wait()  # it has ended, and takes its state from there
        if future.state.is_completed():
            done: Done = future.result()
            return done
        if failed := self._outcomes.get(_place(call)):
            return failed
        raise Stopped

    def perform(self, execution: Execution) -> Done:
        """Have the work of a stage done, and note it. Raises: errors of our own; what ends the process."""
        self._failures.check()
        stage, name = execution.stage.stage, execution.name
        try:
            with listening(self._interrupt):  # for as long as it works, which may be longer than the run does
                done = self.workers.carry_out(execution, self._begin)
            self.take(done)
        except Stopped:
            raise
        except Exception as error:
            failed = own_error(execution.subject, error)
            if execution.takes(failed) and isinstance(failed, IdxflowError):
                self._note_outcome(execution, failed)
            else:
                self._failures.add(stage, name, failed)
        except BaseException as error:
            self._failures.add(stage, name, error)
            raise
        else:
            return done
        raise failed  # out here it has no context: Prefect would log that as well

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
            self._outcomes.clear()
            self._early.clear()
            self.begin_again()
            raised: Exception | None = None
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
            self.settle_refreshed()

    def close(self) -> None:
        """
        Let go of what the run used; its record holds it from now on.

        After Ctrl-C stages may still be at work: then the end of the process lets go, and what they commit late is
        added to the record.
        """
        if all(map(has_ended, self._futures)):
            super().close()

    def _dashboard(self) -> str | None:
        return url_for("flow-run", obj_id=self.flow_run)

    def _begin(self) -> None:
        """Put down what the run has found, as a stage begins to be computed. Raises: Stopped: nobody wants it."""
        self._failures.check()
        with suppress(StoreError):
            self.note()

    def _settle(self) -> None:
        """Wait for every stage that was submitted, and collect what it did and what went wrong out of this process."""
        self._failures.settle(self._futures)
        for future in self._futures:
            if not has_ended(future):
                continue
            if future.state.is_completed():
                if not self.has_taken(done := future.result()):
                    self.take(done)
            elif not self._failures.errors:
                found = future.result(raise_on_failure=False)
                if isinstance(found, Exception) and found not in self._outcomes.values():
                    self._failures.errors.append(found)

    def _note_outcome(self, execution: Execution, failed: IdxflowError) -> None:
        """Keep the error of an execution with which the run goes on, and say it."""
        stage, name = execution.stage.stage, execution.name
        self._outcomes[stage, name] = failed
        emit(StageFailed(stage, name, str(failed), optional=True))
        logger.warning("%s failed: %s", execution.subject, failed)

    def _interrupt(self, event: Event) -> None:
        if CURRENT.get(None) is self:
            self._failures.interrupt(event)


def _place(call: Call) -> tuple[str, str]:
    return call.stage.stage, call.called


def _awaited(argument: Any) -> bool:
    """Tell whether an argument has what is not known yet."""
    match argument:
        case PrefectFuture():
            return True
        case list() | tuple():
            return any(map(_awaited, argument))
        case dict():
            return any(map(_awaited, argument.values()))
    return False


def _unasked(argument: Any) -> Any:
    """
    Wrap a future, which Prefect unwraps once it has waited for it.

    Of a bare one it asks the API for the state first, whether it runs: a request an argument, and no answer helps.
    """
    return unmapped(argument) if isinstance(argument, PrefectFuture) else argument
