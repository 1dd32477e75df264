"""New images named on a schedule: the job of `idxflow predict --new` as a Prefect flow; see `flows.answers`."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.events import emit_event
from pydantic import BaseModel, ConfigDict, Field

from artifacts.engine.threads import StageThreads
from flows.answers import Answered, Preparing
from flows.job import taking
from flows.run_record import RunRecord
from flows.scored_page import DRIFT, FLOW, drift_payload, headline, key_of, page
from schemas.errors import UsageError
from schemas.pictures import Fit


class ScoringJob(BaseModel):
    """What one run of scoring is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str = Field(
        default="latest", description="A run, a model, an alias as champion@mnist, or latest; latest@mnist of a set."
    )
    paths: tuple[str, ...] = Field(
        default=(), description="What to name, on the worker's machine: pictures, folders, archives, CSV, npz, IDX."
    )
    only_new: bool = Field(
        default=True, description="Leave out files that the model has named, or refused, at the same path before."
    )
    out: str | None = Field(
        default=None,
        description="A .csv or .parquet file for the answers, replaced by each run: with only_new it has all so far, "
        "else those of this run.",
    )
    fit: Fit | None = Field(
        default=None, description="Of a picture of another size: exact, pad or stretch; as for training if empty."
    )
    label: str | None = Field(default=None, description="Column of the labels in a CSV or TSV.")


@flow(name=FLOW, task_runner=StageThreads(max_workers=4))  # type: ignore[arg-type]  # as of the pipeline
@taking(ScoringJob)
def scoring(job: ScoringJob) -> RunRecord:
    """Name what is new at some paths with a trained model, and tell whether it is like what that was trained on."""
    from flows.scoring import work  # inside: a flow that travels is pickled with every global that its body names

    return work(job)


def work(job: ScoringJob) -> RunRecord:
    """
    Do a job, inside of its Prefect flow: recorded, its stages cached, shown in the dashboard.

    Returns: the run's record.
    Raises:  UsageError: no path, or a wrong file for the answers.  As `flows.answers.answer`.
    """
    from artifacts.engine.recorder import recording
    from artifacts.environment import home_folder
    from artifacts.store.store import Store
    from flows.answer_files import check_target, joined, write_answers
    from flows.answers import answer, ask, trained
    from flows.dashboard import logging_to_api

    out = Path(job.out).expanduser().absolute() if job.out else None
    network = trained(Store(home_folder()), job.model)  # before this run is the newest one
    with logging_to_api(), recording() as run:
        if not job.paths:
            raise UsageError("paths", expected="one at least", found="none", way_out="Name a folder in the parameters.")
        if out:
            check_target(out, job.paths, replaced=True)
        said = Preparing(fit=job.fit)
        done = answer(run, network, ask(network, job.paths, said, job.label), only_new=job.only_new)
        context = FlowRunContext.get()
        if context and context.flow_run:
            show(context.flow_run, network.dataset, run.dataset_id, done.answers)
        if out:  # also where nothing is new: a run that was killed may not have come to it
            table = done.so_far(run.store) if job.only_new else joined([each.table() for each in done.answers])
            write_answers(out, table, replaced=True)
    return RunRecord.of(run.saved)


def show(flow_run: FlowRun, named: str, identity: str, answers: list[Answered]) -> None:
    """Show in the dashboard what was said, and emit the event of each place whose images have drifted."""
    from flows.noticeboard import Noticeboard

    board = Noticeboard(flow_run)
    told = headline(answers)
    with board.writing():
        board.rename(f"{named} / {told}", (named, "scores", *(() if answers else ("nothing-changed",))))
        if answers:
            board.post_page(key_of(identity), page(answers), told)
    for each in answers:
        if each.scored.drift and not each.cached:
            emit_event(
                DRIFT,
                resource={"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.name": named},
                payload=drift_payload(each),
            )
