"""The figures of a split and of the normaliser, as JSON."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.statistics import Drift, DuplicateGroup, Finding, NormalizerFacts, Statistics

STATISTICS = Statistics(
    samples=2,
    shape=(1, 1),
    classes=("a", "b"),
    class_counts=(1, 1),
    imbalance=1.0,
    minimum=0,
    maximum=255,
    sum=2**62 + 1,
    sum_of_squares=2**80 + 1,
    mean=127.5,
    std=127.5,
    ink=0.5,
    blank=2,
    duplicates=(DuplicateGroup(images=2, sample_ids=(0, 1), labels=(0, 1)),),
    drift=(Drift(feature="ink", psi=0.1, noise=0.01),),
    findings=(Finding(check="blank", message="images whose pixels are all equal: 2", count=2, sample_ids=(0, 1)),),
)


def test_statistics_survive_json() -> None:
    """Statistics read back are equal, integers beyond float64 included."""
    assert Statistics.model_validate_json(STATISTICS.model_dump_json()) == STATISTICS


def test_normalizer_facts_survive_json_with_their_formulas() -> None:
    """The normaliser's facts read back are equal, and say in words how to apply them."""
    facts = NormalizerFacts(samples=2, shape=(1, 1), sum=255, sum_of_squares=65025, std=1.0)
    text = facts.model_dump_json()
    assert NormalizerFacts.model_validate_json(text) == facts
    assert "(scaled - mean[pixel]) / std" in text


@pytest.mark.parametrize("std", [0.0, -0.1, 1.1, float("nan")])
def test_a_deviation_that_cannot_be_is_refused(std: float) -> None:
    """A deviation of 0 would divide by zero, and scaled pixels cannot deviate by more than 1."""
    with pytest.raises(ValidationError, match="std"):
        NormalizerFacts(samples=2, shape=(1, 1), sum=0, sum_of_squares=0, std=std)
