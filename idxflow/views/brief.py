"""The output of a run in a notebook or a script: a line for what takes long, warnings, and nothing that is redrawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from idxflow.views.console import Console, Terminal
from schemas.events import Event, StageChanged, StageFailed

LONG = 1.0
"""Seconds that a stage takes at least to be worth a line."""


class Brief(Console):
    """
    A console that says little, in plain lines: a notebook keeps all of them, and has no terminal that could redraw.

    What a run came to is for its caller to show, and so is the error by which it fails.

    Args: out: for lines and warnings.
    """

    def __init__(self, out: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(out, out, plain=True, clock=clock)
        # A notebook says of itself that it is a terminal in colour, and rich would send it pages.
        self.out = self.err = Terminal(
            file=out, highlight=False, soft_wrap=True, force_terminal=False, force_jupyter=False, no_color=True
        )

    def show(self, event: Event) -> None:
        """Show an event; from any thread."""
        quick = isinstance(event, StageChanged) and event.seconds < LONG
        if not quick and not isinstance(event, StageFailed):
            super().show(event)
