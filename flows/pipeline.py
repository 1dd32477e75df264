"""The main job as a Prefect flow: from four files on a mirror to a trained, evaluated and explained model."""

from __future__ import annotations

from prefect import flow

from artifacts.engine.threads import StageThreads
from flows.job import Job, taking
from flows.run_record import RunRecord
from flows.temporary import lock_temporary_server


@flow(name="idxflow", task_runner=StageThreads(max_workers=16))  # type: ignore[arg-type]  # Prefect leaves the runner's type open
@taking(Job)
def pipeline(job: Job) -> RunRecord:
    """Bring in, check, train, evaluate and report: what is there is not redone."""
    from flows.working import work  # inside: a flow that travels is pickled with every global that its body names

    return work(job)


if __name__ == "__main__":
    lock_temporary_server()
    pipeline()
