"""
A stage as a Prefect task.

The cache is the store's, not Prefect's: under the lock of its version an execution looks for what is there, checks it,
and commits what it makes. So it does the same outside of a flow, and an error of the commit is an error of the task.
Prefect sees a task that ends in the state `Cached` or `Completed`, and keeps no results.
"""

from __future__ import annotations

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from artifacts.current import CURRENT
from artifacts.engine.execution import Done, Execution, as_references
from artifacts.engine.foreign import own_error
from artifacts.stage import Stage
from artifacts.store.store import Store
from schemas.remote import RemotePlace


def make_task(  # noqa: PLR0917 - as of an execution
    stage: Stage,
    store: Store,
    run: str,
    flow_run: str,
    rebuild: str | None,
    called: str = "",
    *,
    optional: bool = False,
    remote: RemotePlace | None = None,
    turn: int = 0,
) -> Task[..., Any]:
    """
    Make the Prefect task of a stage; it can be pickled. Its arguments may be what other tasks returned.

    Args: run, flow_run, rebuild, called, optional, remote, turn: as for `Execution`.
    """

    def work(*args: Any, **kwargs: Any) -> State[Done]:
        arguments = {name: as_references(value) for name, value in stage.bind(*args, **kwargs).items()}
        done = perform(Execution(store, run, flow_run, stage, arguments, rebuild, called, optional, remote, turn))
        return Completed(name="Cached" if done.row.cached else "Completed", data=done)

    work.__name__ = work.__qualname__ = stage.stage
    work.__module__, work.__doc__ = stage.function.__module__, stage.function.__doc__
    work.__signature__ = stage.signature  # type: ignore[attr-defined]
    return Task(
        work,
        name=stage.stage,
        task_run_name=f"{stage.stage} {_literal(called) or stage.name}".strip(),
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def _literal(word: str) -> str:
    """Return a word as a format that gives it."""
    return word.replace("{", "{{").replace("}", "}}")


def perform(execution: Execution) -> Done:
    """Do the work; where the run's recorder is in this process it hears of it at once, else of what is returned."""
    if recorder := CURRENT.get(None):
        return recorder.perform(execution)
    try:
        return execution()
    except Exception as error:
        failed = own_error(execution.subject, error)
    raise failed  # out here it has no context: Prefect would log that as well
