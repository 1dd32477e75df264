"""The job of `idxflow promote` as a Prefect flow: the gate of `flows.gate`, asked about the model of an earlier run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from prefect import flow
from prefect.context import FlowRunContext

from artifacts.archive.lookup import find_run
from artifacts.archive.runs import state_of, subject_of
from artifacts.engine.recorder import recording
from artifacts.engine.threads import StageThreads
from artifacts.environment import home_folder
from artifacts.ref import Ref
from artifacts.store.store import Store
from flows.dashboard import logging_to_api
from flows.gate import Gate, Wanted, settled
from flows.noticeboard import Noticeboard
from flows.parts import PARSE, as_parts, rows_of, stored_parts
from flows.run_record import RunRecord
from flows.summary import promotion_table
from schemas.errors import UsageError
from tasks.formats.table import Parts

logger = logging.getLogger("idxflow.gate")
SUFFIX = "-promotions"
"""Of the identity under which such runs are counted: what a clean-up keeps for a data set's own runs stays."""


@dataclass(frozen=True)
class Candidate:
    """What a run has left of its model. Args: test: the table; scores: evaluate's."""

    model: Ref
    test: Parts
    scores: Ref


@flow(name="idxflow-promote", task_runner=StageThreads(max_workers=4))  # type: ignore[arg-type]  # as of the pipeline
def promoting(run: str, alias: str, floor: float | None = None, force: str | None = None) -> RunRecord:
    """Hold the model of a run against the one that has an alias, and let the alias stand for it if it is better."""
    from flows.promoting import work  # inside: a flow that travels is pickled with every global that its body names

    return work(run, Wanted(alias, floor, force))


def work(run: str, wanted: Wanted) -> RunRecord:
    """
    Do that, inside of its Prefect flow: recorded, its verdict cached.

    Args:    run: id of the run.
    Returns: the record of this one.
    Raises:  as `candidate_of`, and the first error of any stage, after the record has been written.
    """
    of = RunRecord.of(find_run(Store(home_folder()), run))
    with recording(
        dataset=of.dataset, promotes=of.id, profile=of.profile, seed=of.seed, training=of.training
    ) as recorder:
        recorder.dataset_id = f"{of.identity}{SUFFIX}"
        candidate, gate = (
            candidate_of(recorder.store, of),
            Gate(recorder.store, wanted, of.identity, ask=recorder.take_alias),
        )

        def walk() -> Any:
            return gate.judge(candidate.model, candidate.scores, candidate.test)

        _, became = settled(recorder, gate, walk, lambda verdict: (candidate.model, verdict))
        recorder.publish(promotion=became)
    record = RunRecord.of(recorder.saved)
    _show(record)
    return record


def _show(record: RunRecord) -> None:
    """Show in Prefect's dashboard what became of the alias: in the run's name, its log, and a table."""
    context, became = FlowRunContext.get(), record.promotion
    if context is None or context.flow_run is None or became is None:
        return
    with logging_to_api():
        logger.info("%s.", became.line)
    board, dataset = Noticeboard(context.flow_run), record.identity.removesuffix(SUFFIX)
    with board.writing():
        board.rename(f"{record.dataset} / {became.alias} / {became.outcome}", (record.dataset, became.alias))
        board.post_table(f"promotion-{dataset}", promotion_table(record), became.line)


def candidate_of(store: Store, record: RunRecord) -> Candidate:
    """
    Find the model of a completed run, and what it was tested on.

    Raises: UsageError: it did not complete, has no model, or what it left is no longer stored.  ArtifactDamaged.
    """
    rows = {(row.stage, row.name): row for row in record.stages}
    tests = rows_of(store, record.stages, PARSE, "test")
    there = [row for row in (rows.get(("train", "")), rows.get(("evaluate", ""))) if row]
    if state_of(store, record) != "completed" or len(there) < 2 or not tests:
        raise UsageError(
            subject_of(store, record),
            expected="a completed run, with a model and its evaluation",
            found="one without",
            way_out="`idxflow runs` lists the others.",
        )
    model, scores = (stored.ref for stored in stored_parts(store, there))
    return Candidate(model, as_parts(stored_parts(store, tests)), scores)
