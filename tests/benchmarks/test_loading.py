"""Loading once, in a process of its own."""

from __future__ import annotations

from prefect.task_runners import ThreadPoolTaskRunner

from benchmarks.loading import THREADS
from flows.pipeline import pipeline


def test_as_many_stages_run_at_once_as_in_a_flow() -> None:
    """What is measured without Prefect has the threads that a run has with it."""
    assert isinstance(pipeline.task_runner, ThreadPoolTaskRunner)
    assert pipeline.task_runner._max_workers == THREADS
