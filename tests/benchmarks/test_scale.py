"""Growth: its fit, and every stage in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.child import Job, Measured, peak_memory
from benchmarks.harness import Setting
from benchmarks.scale import Scale, growth, measure_growth, measure_streaming
from flows.dag import STAGES
from schemas.training import Training
from tests.benchmarks.digits import DIGITS


def test_linear_growth_has_slope_one() -> None:
    """Ten times the data in ten times the time is 1, in a hundred times 2; a fixed cost makes it less."""
    samples, peak = [60, 600, 6000], [1, 1, 1]
    assert growth("parse", samples, [1, 10, 100], peak).slope == pytest.approx(1)
    assert growth("parse", samples, [1, 100, 10_000], peak).slope == pytest.approx(2)
    assert growth("parse", samples, [6, 15, 105], peak).slope < 0.7


def test_a_job_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """What a child gets on its command line is what its parent meant."""
    job = Job(home=tmp_path, dataset="x.toml", stage="train", cores=None, training=Training(profile="tuned", epochs=3))
    assert Job.model_validate_json(job.model_dump_json()) == job


def test_peak_memory_counts_what_was_given_back() -> None:
    """After an array of 64 MB has come and gone, the peak still has it."""
    before = peak_memory()
    bytearray(os.urandom(2**20) * 256)
    assert peak_memory() >= before + 2**27


def test_a_stage_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Parse of two shards, on one core: seconds with and without the store's own work, and a peak of memory."""
    sets = Scale(Setting(DIGITS, tmp_path, repeats=1), [1, 2])
    found = [sets.run(stage, 2, Training()) for stage in STAGES[:4]]
    assert all(isinstance(one, Measured) and 0 < one.own < one.whole and one.peak > 10**7 for one in found)
    assert sets.images(2) == {"train": 3000, "test": 297}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_stage_grows_and_training_is_streamed(tmp_path: Path) -> None:
    """At one and two times the digits: a line a stage, rates and memory held against their bars."""
    sets = Scale(Setting(DIGITS, tmp_path, repeats=1), [1, 2])
    found = measure_growth(sets)
    assert [line.stage for line in found.growth] == list(STAGES)
    assert all(line.samples == (1500, 3000) and min(line.seconds) > 0 for line in found.growth)
    assert [figure.goal.bar for figure in found.figures[:6]] == [450e3, None, 300, 650e3, None, 350]
    streamed = measure_streaming(sets)
    assert [figure.unit for figure in streamed.figures] == ["x", "MB"]
