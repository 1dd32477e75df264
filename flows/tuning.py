"""
The sweep of `idxflow tune` as a Prefect flow: data once, then rounds of trials, then the winner on the test split.

A trial is a cached training as any other. What is tried depends on the held-out rows alone, and is asked of Optuna in
rounds (`flows.suggesting`), so that any number of workers, and any number of interruptions, gives the same table.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field

from artifacts.engine.threads import StageThreads
from flows.job import DatasetName, FormTraining, StageName, taking
from flows.run_record import RunRecord
from schemas.addresses import MirrorAddress
from schemas.source import Choices
from schemas.training import Training
from schemas.tuning import Sweep
from schemas.workers import Workers

FLOW = "idxflow-tune"


class TuningJob(BaseModel):
    """What one sweep is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dataset: DatasetName | None = Field(default=None, description="As of a run.")
    training: FormTraining = Field(
        default=Training(), description="What all trials share: the values that are tried take their place."
    )
    sweep: Sweep = Field(default=Sweep(), description="What is tried, and how often.")
    retry: bool = Field(default=False, description="Try once more what has failed in this sweep before.")
    mirrors: tuple[MirrorAddress, ...] = Field(default=(), description="As of a run.")
    refresh: tuple[StageName, ...] = Field(default=(), description="As of a run.")
    revalidate: bool = Field(default=False, description="As of a run.")
    force: bool = Field(
        default=False, description="Go on, with a warning, where more memory or disk is needed than is free."
    )
    pack: Choices = Field(
        default=Choices(), description="What is said of a folder, archive, table or file of arrays that is packed."
    )
    workers: Workers = Field(
        default=Workers(runner="dask"),
        description="Who trains: processes of this machine, one for each core, unless told otherwise.",
    )

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields by name, as the flow takes them."""
        return {name: getattr(self, name) for name in type(self).model_fields}


@flow(name=FLOW, task_runner=StageThreads(max_workers=16))  # type: ignore[arg-type]  # as of the pipeline
@taking(TuningJob)
def tuning(job: TuningJob) -> RunRecord:
    """Try settings of the training on held-out rows, in rounds, and hold the best against the profile's own on test."""
    from flows.tuning import work  # inside: a flow that travels is pickled with every global that its body names

    return work(job)


def work(job: TuningJob) -> RunRecord:
    """
    Do a job, inside of its Prefect flow: recorded, its stages cached, shown in the dashboard.

    Returns: the run's record.
    Raises:  UsageError: a wrong space, or nothing is held out.  The first error of any stage but a trial's training.
    """
    from artifacts.engine.recorder import recording
    from flows.study_board import showing
    from flows.sweeping import Sweeping, asked, found
    from flows.workers import executor_of

    with recording(workers=executor_of(job.workers), refresh=job.refresh, **asked(job)) as run, showing(run) as board:
        swept = run.attempt(Sweeping(job, run).walk)
        run.publish(**found(run, swept))
        board.close(swept)
    return RunRecord.of(run.saved)
