"""The threads that stages run in, of which a run that has failed need not wait for the last."""

from __future__ import annotations

from typing import Any

from prefect.task_runners import ThreadPoolTaskRunner


class StageThreads(ThreadPoolTaskRunner[Any]):
    """
    Prefect's threads. At the end of a flow it waits for all that they still do, unless that is of no use any more.

    Attributes:
        abandoned: whether it does not wait.
    """

    abandoned = False

    def cancel_all(self) -> None:
        """Stop what has not begun, and wait for the rest, unless it is abandoned."""
        if self.abandoned and self._executor is not None:
            executor, self._executor = self._executor, None
            executor.shutdown(wait=False, cancel_futures=True)
        super().cancel_all()
