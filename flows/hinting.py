"""The job of `idxflow hints --folds` as a Prefect flow: see `flows.folds`."""

from __future__ import annotations

from functools import partial

from prefect import flow

from artifacts.archive.lookup import find_run
from artifacts.engine.recorder import recording
from artifacts.engine.threads import StageThreads
from artifacts.environment import home_folder
from artifacts.store.store import Store
from flows.folds import base_of, walk
from flows.run_record import RunRecord

SUFFIX = "-hints"
"""Of the identity under which such runs are counted: what a clean-up keeps for a data set's own runs stays."""


@flow(name="idxflow-hints", task_runner=StageThreads(max_workers=4))  # type: ignore[arg-type]  # as of the pipeline
def hinting(run: str, folds: int) -> RunRecord:
    """Train a network for each fold of a run's train images, and score each image with the one that has not seen it."""
    from flows.hinting import work  # inside: a flow that travels is pickled with every global that its body names

    return work(run, folds)


def work(run: str, folds: int) -> RunRecord:
    """
    Do that, inside of its Prefect flow: recorded, its stages cached.

    Args:    run: id of the run.
    Returns: the record of this one.
    Raises:  as `base_of`, and the first error of any stage, after the record has been written.
    """
    of = RunRecord.of(find_run(Store(home_folder()), run))
    with recording(
        dataset=of.dataset, hints_of=of.id, folds=folds, profile=of.profile, seed=of.seed, training=of.training
    ) as recorder:
        recorder.dataset_id = f"{of.identity}{SUFFIX}"
        base = base_of(recorder.store, of)
        recorder.attempt(partial(walk, base, folds))
    return RunRecord.of(recorder.saved)
