"""The work of the main job: its data set, what stands before the graph, the graph, and what the run says of itself."""

from __future__ import annotations

from functools import partial

from artifacts.engine.recorder import Recorder, recording
from artifacts.environment import home_folder
from flows.admit import Admission
from flows.ahead import begin_ahead, companion_of
from flows.choose import choose_dataset
from flows.dag import Outcome, dag
from flows.dashboard import shown
from flows.gate import Gate, Wanted, settled
from flows.identify import confirm, take_unknown
from flows.job import Job
from flows.many import tell_parts
from flows.revalidate import ask_mirrors
from flows.run_record import RunRecord, asked, found
from flows.workers import executor_of


def work(job: Job) -> RunRecord:
    """
    Do a job, inside of its Prefect flow: shown in the dashboard, recorded, its stages cached.

    Returns: the run's record.
    Raises:  the first error of any stage, after the record has been written.
    """
    workers = executor_of(job.workers, companion_of(home_folder(), job))
    with shown(job.training, job.alert_below), recording(workers=workers, **asked(job)) as run:
        begin_ahead(run.store.home, job, workers)
        if job.promote is None:
            run.publish(**found(run, run.attempt(partial(_walk, job, run)), job))
        else:
            gate = Gate(run.store, Wanted(job.promote, job.alert_below), ask=run.take_alias)
            outcome, became = settled(
                run, gate, partial(_walk, job, run, gate), lambda done: (done.model, done.verdict, done.report)
            )
            run.publish(**found(run, outcome, job), promotion=became)
    return RunRecord.of(run.saved)


def _walk(job: Job, run: Recorder, gate: Gate | None = None) -> Outcome:
    """Choose the data set, look whether what is asked for can be done, and walk the graph."""
    data = take_unknown(run.store, choose_dataset(job.dataset, job.mirrors, job.pack))
    if job.revalidate:
        ask_mirrors(data)
    run.many = tell_parts(data)
    admission = Admission(run.store, data, job.training, job.refresh, force=job.force)
    admission.check()
    judge = gate.judge if gate else None
    return dag(data, job.training, checked=partial(confirm, run.store, data), sized=admission.sized, judge=judge)
