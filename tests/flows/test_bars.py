"""The words beside a bar."""

from __future__ import annotations

import pytest

from flows.bars import describe
from schemas.events import Progress


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Progress("a.gz", "bytes", 3_100_000, 9_912_422), "a.gz: 3.1/9.9 MB"),
        (Progress("a.gz", "bytes", 3_100_000, None), "a.gz: 3.1 MB"),
        (
            Progress("train", "epochs", 12, 50, {"accuracy": 0.9891, "loss": 0.0712}),
            "train: 12/50 epochs: loss 0.0712, accuracy 98.91 %",
        ),
    ],
)
def test_a_bar_says_what_of_what(event: Progress, words: str) -> None:
    """Subject, amount done and in all, and the figures where there are any."""
    assert describe(event) == words
