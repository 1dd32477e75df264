"""The exact paired test, and what it could have seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.quality.paired import least_lead, mcnemar


@pytest.mark.parametrize(("apart", "lead"), [(0, None), (5, None), (6, 6), (8, 8), (9, 7), (103, 21)])
def test_the_least_lead_of_a_few_images(apart: int, lead: int | None) -> None:
    """Of five images that part two models none is enough at 5 %, of six all, of 103 a lead of 21."""
    assert least_lead(apart, 0.05) == lead


@given(st.integers(0, 400), st.sampled_from((0.05, 0.01, 0.001)))
def test_the_least_lead_is_significant_and_no_lesser_one_is(apart: int, level: float) -> None:
    """It is what the test itself says of every lead that is possible."""
    leads = range(apart % 2, apart + 1, 2)
    significant = [lead for lead in leads if mcnemar((apart - lead) // 2, (apart + lead) // 2) < level]
    assert least_lead(apart, level) == (min(significant) if significant else None)
