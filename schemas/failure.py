"""A failed check, as people read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from schemas.statistics import SHOWN

SHOWN_IN_TEXT = 5
"""Rows that a message names; the others are in its count."""


@dataclass(frozen=True)
class Failure:
    """
    One failed check over all of its rows.

    Args:
        check: the check's name.
        fault: what is wrong, in words.
        count: failing rows; 1 when it is a column as a whole that fails.
        index: what the rows are known by: sample_id, class or feature.
        where: the first 20 of them.
        found: their values, where the check is about one column.
    """

    check: str
    fault: str
    count: int
    index: str = ""
    where: tuple[Any, ...] = ()
    found: tuple[Any, ...] = ()

    def __add__(self, other: Failure) -> Failure:
        """Join the failures of one check in two parts of a table, in their order."""
        where, found = (self.where + other.where)[:SHOWN], (self.found + other.found)[:SHOWN]
        return replace(self, count=self.count + other.count, where=where, found=found)

    def __str__(self) -> str:
        """Return the fault, the count, and the first few rows with what they hold."""
        rows = (
            [
                f"{row}: {f'{value:g}' if isinstance(value, float) else value}"
                for row, value in zip(self.where, self.found, strict=True)
            ]
            if self.found
            else self.where
        )
        if not rows:
            return self.fault
        few = ", ".join(str(row) for row in rows[:SHOWN_IN_TEXT])
        return f"{self.fault}: {self.count} ({self.index} {few}{', ...' if self.count > SHOWN_IN_TEXT else ''})"
