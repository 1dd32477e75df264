"""How a stage is told that nobody wants it any more."""

from __future__ import annotations


class Stopped(Exception):
    """A stage that was not begun, or not gone on with, because another one had failed."""
