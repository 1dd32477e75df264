"""A stage as a Prefect task: its key, its lock, and where its result lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import Task
from prefect.transactions import IsolationLevel, get_transaction

from artifacts.keys import storage_key
from artifacts.ref import Ref
from artifacts.stage import Stage, parse_references
from artifacts.store.locks import FlockManager
from artifacts.store.records import SERIALIZER, ContentPolicy, RecordStorage
from artifacts.store.store import Store


def make_task(
    stage: Stage,
    store: Store,
    work: Callable[[Stage, dict[str, Any]], Ref],
    *,
    storage: RecordStorage,
    locks: FlockManager,
    anew: bool,
) -> Task[..., Any]:
    """
    Make the Prefect task of a stage.

    Args:
        work: compute the stage from its arguments, references as objects.
        anew: compute it whatever is stored.
    """

    def arguments_of(inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: parse_references(value) for name, value in inputs.items()}

    def version_of(inputs: dict[str, Any]) -> str:
        return stage.parts(arguments_of(inputs)).version

    def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
        bound = stage.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = arguments_of(bound.arguments)
        transaction, expected = get_transaction(), storage_key(stage.stage, stage.parts(arguments).version)
        if transaction is None or transaction.key != expected:
            raise RuntimeError(f"{stage.stage}: Prefect runs it under another key than {expected}")
        return work(stage, arguments).model_dump()

    run.__name__ = run.__qualname__ = stage.stage
    run.__module__, run.__doc__ = stage.function.__module__, stage.function.__doc__
    run.__signature__ = stage.signature  # type: ignore[attr-defined]
    return Task(
        run,
        name=stage.stage,
        task_run_name=f"{stage.stage} {stage.name}".strip(),
        cache_policy=ContentPolicy(
            key_storage=storage,
            isolation_level=IsolationLevel.SERIALIZABLE,
            lock_manager=locks,
            stage=stage.stage,
            version_of=version_of,
        ),
        persist_result=True,
        result_storage=store.artifacts,
        result_serializer=SERIALIZER,
        cache_result_in_memory=False,
        refresh_cache=anew or None,
    )
