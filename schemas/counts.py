"""How many of a thing, as a person reads it."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return `1 artifact` or `3 artifacts`. Args: thing: in the singular, of a word whose plural adds an s."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
