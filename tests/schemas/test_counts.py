"""Counts in words."""

from __future__ import annotations

from schemas.counts import counted


def test_one_thing_is_told_in_the_singular() -> None:
    """Of one there is one thing, of none or several there are things."""
    assert [counted(number, "artifact") for number in (0, 1, 2)] == ["0 artifacts", "1 artifact", "2 artifacts"]
