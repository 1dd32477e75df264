"""Moments as a person reads them: in local time."""

from __future__ import annotations

from datetime import datetime

from artifacts.archive.runs import RunState
from flows.run_record import RunRecord

CLOCK = "The clock was wrong then, or is now; the order of runs does not depend on it."
"""Of records that name a moment which is still to come."""


def local_time(moment: str, *, seconds: bool = False) -> str:
    """
    Return a moment as `2026-11-24 14:00`, in the local time zone.

    Args: moment: ISO 8601, with its offset from UTC.
    """
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def time_taken(record: RunRecord, state: RunState, now: datetime) -> float | None:
    """Return the seconds that a run took, or has been running for; None for one that was killed: nobody knows."""
    if state == "running":
        return max((now - datetime.fromisoformat(record.started).astimezone()).total_seconds(), 0.0)
    return None if state == "killed" else record.seconds
