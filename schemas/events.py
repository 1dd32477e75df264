"""
Progress of long work, from the stage that does it to the view that shows it.

A task emits, a console or a dashboard subscribes; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
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
    A stage failed, and the run will end with its error, unless that is an outcome that the run takes note of.

    Args:
        stage, name: which stage, of what.
        message:     the error, as the run ends with it.
        optional:    the run goes on.
    """

    stage: str
    name: str
    message: str
    optional: bool = False


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


@dataclass(frozen=True)
class PartsExpected:
    """
    A stage will be called for each of many files, or parts of a split: a person is better told of them as of one.

    Args:
        split: train or test; empty where it is of the files of both.
        names: of what it will be called, as in `StageChanged`.
    """

    stage: str
    split: str
    names: frozenset[str]


@dataclass(frozen=True)
class PartsSettled:
    """
    Shards of a split were found as one: no stage will be called for each of their files and parts.

    Args:
        split: train or test.
        parts: of what parse and profile would have been called.
        files: of what download, verify and decompress would have been.
    """

    split: str
    parts: tuple[str, ...]
    files: tuple[str, ...]


Event = Progress | StageChanged | StageFailed | RunChanged | PartsExpected | PartsSettled
_listeners: list[Callable[[Event], None]] = []
_SUBJECT: ContextVar[str] = ContextVar("subject", default="")


def emit(event: Event) -> None:
    """Hand `event` to every listener, in this thread."""
    if isinstance(event, Progress) and (subject := _SUBJECT.get()):
        event = replace(event, subject=subject)
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


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Let the progress of the block be about `subject`, whatever its code calls it; empty: as its code calls it."""
    token = _SUBJECT.set(subject)
    try:
        yield
    finally:
        _SUBJECT.reset(token)
