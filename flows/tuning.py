"""
The sweep of `idxflow tune` as a Prefect flow: data once, then rounds of trials, then the winner on the test split.

A trial is a cached training as any other. What is tried depends on the held-out rows alone, and is asked of Optuna in
rounds (`flows.suggesting`), so that any number of workers, and any number of interruptions, gives the same table.
"""

from __future__ import annotations

from prefect import flow

from artifacts.engine.threads import StageThreads
from flows.job import taking
from flows.run_record import RunRecord
from flows.tuning_job import TuningJob

FLOW = "idxflow-tune"


@flow(name=FLOW, task_runner=StageThreads(max_workers=256))  # type: ignore[arg-type]  # as of the pipeline; a trial each, most of which wait
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
