"""How far an execution is, told from the process that does it to the one that the run is in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from schemas.events import Event, Progress, StageChanged

LEAST_SECONDS = 0.2
"""Seconds between two messages of one execution about how far it is."""


class Forwarding:
    """
    Sends events of an execution to where its run is, not too many.

    Args:
        tell:  called with their kind and, as `event`, their fields; `event_of` makes an event of that again.
        check: called with each; raises where they are of no use any more, which ends the work.
    """

    def __init__(self, tell: Callable[..., None], check: Callable[[], None] = lambda: None) -> None:
        self._tell, self._check = tell, check
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        match event:
            case StageChanged(state="started"):
                self._tell("started", event=asdict(event))
            case Progress():
                self._check()
                now = time.monotonic()
                if event.done == event.total or event.note or now - self._last >= LEAST_SECONDS:
                    self._last = now
                    facts = {name: float(value) for name, value in event.facts.items()}
                    self._tell("progress", event={**asdict(replace(event, facts={})), "facts": facts})


def event_of(message: Mapping[str, Any]) -> Event:
    """Return the event that a message tells of."""
    told = message["event"]
    return StageChanged(**told) if message["kind"] == "started" else Progress(**told)
