"""
Progress of long work, from the stage that does it to the view that shows it.

A task emits, a console or a dashboard subscribes; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Progress:
    """
    How far one piece of work is.

    Args:
        subject: what is worked on, as a person would name it: a file, a stage.
        unit:    what `done` and `total` count.
        done:    0 up to `total`.
        total:   None while it is not known.
        facts:   figures to show beside the bar: loss, accuracy, and their validation twins.
        note:    what they do not say.
    """

    subject: str
    unit: Literal["bytes", "epochs"]
    done: int
    total: int | None
    facts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class StageChanged:
    """
    A stage of the running flow started, was found cached, or was computed.

    Args:
        stage, name: which stage, of what (`name` is empty where there is only one).
        state:       started, cached or computed.
        version:     16 hexadecimal digits of the artifact.
        seconds:     time that the check or the computation took; 0 at the start.
        bytes:       size of the artifact's files; 0 at the start.
        reason:      why it was computed; empty at the start, and when it was cached.
    """

    stage: str
    name: str
    state: Literal["started", "cached", "computed"]
    version: str
    seconds: float = 0.0
    bytes: int = 0
    reason: str = ""


@dataclass(frozen=True)
class StageFailed:
    """
    A stage failed, and the run will end with its error.

    Args:
        stage, name: which stage, of what.
        message:     the error, as the run ends with it.
    """

    stage: str
    name: str
    message: str


@dataclass(frozen=True)
class RunChanged:
    """
    A run began or ended; its record lies at `<home>/runs/<id>.json`.

    Args:
        id:    12 hexadecimal digits.
        state: as in the record.
    """

    id: str
    state: Literal["running", "completed", "failed", "interrupted"]


Event = Progress | StageChanged | StageFailed | RunChanged
_listeners: list[Callable[[Event], None]] = []


def emit(event: Event) -> None:
    """Hand `event` to every listener, in this thread."""
    for listener in tuple(_listeners):
        listener(event)


@contextmanager
def listening(listener: Callable[[Event], None]) -> Iterator[None]:
    """Call `listener` with each event for as long as the block runs. It may be called from any thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
