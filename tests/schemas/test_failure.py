"""A failed check, as people read it."""

from __future__ import annotations

import pytest

from schemas.failure import Failure


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Failure("samples", "samples is 5, not 6", 1), "samples is 5, not 6"),
        (Failure("blank", "blank images", 2, "sample_id", (3, 9)), "blank images: 2 (sample_id 3, 9)"),
        (Failure("label", "wrong", 1, "sample_id", (123456789,), (300,)), "wrong: 1 (sample_id 123456789: 300)"),
        (Failure("drift", "unlike", 1, "feature", ("ink",), (0.123456789,)), "unlike: 1 (feature ink: 0.123457)"),
    ],
)
def test_a_failure_reads_as_a_sentence(failure: Failure, text: str) -> None:
    """A failure says what is wrong, how often, where, and what was there."""
    assert str(failure) == text


def test_a_long_failure_is_cut_but_counted() -> None:
    """A message names five rows, says that there are more, and gives the whole count."""
    failure = Failure("blank", "blank images", 600, "sample_id", tuple(range(20)))
    assert str(failure) == "blank images: 600 (sample_id 0, 1, 2, 3, 4, ...)"


def test_failures_of_two_parts_join() -> None:
    """Joining adds the counts and keeps the first twenty rows with their values."""
    first = Failure("label", "wrong", 15, "sample_id", tuple(range(15)), tuple(range(100, 115)))
    second = Failure("label", "wrong", 30, "sample_id", tuple(range(50, 70)), tuple(range(20)))
    joined = first + second
    assert joined.count == 45
    assert joined.where == (*range(15), *range(50, 55))
    assert joined.found == (*range(100, 115), *range(5))
