"""Scores that are at hand as a whole, measured."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.results import SplitMetrics
from tasks.quality.scoring import Scores, Tally


def measured(scores: Scores, classes: Sequence[str], *, unseen: bool = False) -> SplitMetrics:
    """Return the metrics of a split whose rows are one batch."""
    tally = Tally(classes, len(scores.label), unseen=unseen)
    tally.add(scores)
    return tally.measure()
