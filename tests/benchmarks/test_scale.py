"""Growth: many times MNIST, its fit, and every stage in a process of its own."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.child import Job, Measured, peak_memory
from benchmarks.harness import Setting
from benchmarks.replicate import describe, shard_names, vary, write_shards
from benchmarks.scale import Scale, growth, measure_growth, measure_streaming
from flows.dag import STAGES
from schemas.catalog import load_dataset
from schemas.training import Training
from tests.benchmarks.digits import DIGITS, read_split


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


def test_the_first_copy_is_the_original_and_the_others_are_moved() -> None:
    """Copy 0 is as it was; each of the next 24 is a move by up to two pixels, which loses what leaves the image."""
    images = np.zeros((1, 7, 7), np.uint8)
    images[0, 3, 3] = 200
    assert (vary(images, 0) == images).all()
    places = {tuple(np.argwhere(vary(images, copy)[0])[0].tolist()) for copy in range(25)}
    assert places == {(row, column) for row in range(1, 6) for column in range(1, 6)}
    assert vary(images, 99).max() == 197


def test_no_image_occurs_twice_in_a_hundred_copies() -> None:
    """Of the digits, which have no two images alike, a hundred copies have none either."""
    pixels = read_split("train").image.reshape(-1, 8, 8)[:40]
    framed = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))  # MNIST has such a frame, the digits have none
    seen = {image.tobytes() for copy in range(100) for image in vary(framed, copy)}
    assert len(seen) == 100 * len(framed)


def test_shards_are_the_same_bytes_each_time_and_read_as_a_data_set(tmp_path: Path) -> None:
    """Two folders hold equal files; the description names as many shards as there are copies, and the test split."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        write_shards(DIGITS, folder, 3)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second
    data = load_dataset(str(describe(DIGITS, folders[0], 3)))
    assert [len(split.shards) for split in data.splits.values()] == [3, 1]
    assert {file.name for file in data.files} == set(first)
    images, _ = shard_names(1)
    assert len(gzip.decompress(first[images])) == 16 + 1500 * 64


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    """A second call writes only the shards that are missing."""
    write_shards(DIGITS, tmp_path, 1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_shards(DIGITS, tmp_path, 2)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items()
