"""Growth: every stage in processes of its own, at 1, 10 and 100 times MNIST; and training streamed or in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from pydantic import ByteSize

from benchmarks.child import Job, Measured
from benchmarks.harness import Contestant, Figure, Goal, Line, Result, Setting, Times, interleave, ratio, summarize
from benchmarks.processes import run_process
from benchmarks.replicate import describe, write_shards
from flows.dag import STAGES
from schemas.datasets import Dataset
from schemas.training import Training

ON_ALL_CORES = {"train", "evaluate", "report"}
BUDGET = 2**30
"""Bytes that training may take in the growth: the smallest set fits into them, the others are streamed."""
EPOCHS = 3
BARS: dict[str, tuple[Goal, Goal]] = {
    "parse": (Goal(450e3, 700e3, at_least=True), Goal(300)),
    "validate": (Goal(650e3, 1e6, at_least=True), Goal(350)),
}
"""Images a second on one core, and MB."""


def training_within(memory: int) -> Training:
    """Return a short training whose table may take so many bytes."""
    return Training(epochs=EPOCHS, memory=ByteSize(memory))


def growth(stage: str, samples: Sequence[int], seconds: Sequence[float], peak: Sequence[int]) -> Line:
    """Fit the growth of a stage; see `Line`."""
    slope = np.polyfit(np.log(samples), np.log(seconds), 1)[0]
    return Line(stage=stage, samples=tuple(samples), seconds=tuple(seconds), peak=tuple(peak), slope=float(slope))


class Scale:
    """
    The sets, and a store for each.

    Args: sizes: how many times MNIST, ascending.
    """

    def __init__(self, setting: Setting, sizes: Sequence[int]) -> None:
        self.setting, self.sizes = setting, tuple(sizes)
        shards = setting.work / "shards"
        write_shards(setting.mnist, shards, max(sizes))
        self.descriptions = {size: describe(setting.mnist, shards, size) for size in sizes}
        self.seen: dict[tuple[str, int], list[Measured]] = {}

    def home(self, size: int) -> Path:
        """Return the store of a size."""
        return self.setting.work / f"home-{size}x"

    def run(self, stage: str, size: int, training: Training) -> Measured:
        """Compute a stage in a process of its own."""
        cores = None if stage in ON_ALL_CORES else 1
        job = Job(
            home=self.home(size), dataset=str(self.descriptions[size]), stage=stage, cores=cores, training=training
        )
        said = run_process([sys.executable, "-m", "benchmarks.child", job.model_dump_json()])
        return Measured.model_validate_json(said)

    def contestant(self, stage: str, size: int) -> Contestant:
        """Return what computes a stage once, and keeps all that was measured."""

        def once() -> float:
            self.seen.setdefault((stage, size), []).append(self.run(stage, size, training_within(BUDGET)))
            return self.seen[stage, size][-1].whole

        return once

    def counted(self, stage: str, size: int) -> list[Measured]:
        """Return what was measured, without the warm-up."""
        return self.seen[stage, size][-self.setting.repeats :]

    def images(self, size: int) -> dict[str, int]:
        """Return the number of images of each split."""
        from schemas.catalog import load_dataset

        return count_images(self.home(size), load_dataset(str(self.descriptions[size])))


def count_images(home: Path, data: Dataset) -> dict[str, int]:
    """Return the number of images of each split, from its parsed table."""
    from artifacts.store.store import Store
    from benchmarks.walk import Walk
    from flows.identify import identify
    from schemas.image_table import ImageTable

    store = Store(home)
    refs = Walk(store, "parse").through(identify(store, data), Training()).refs
    found = dict[str, int](dict.fromkeys(data.splits, 0))
    for (stage, name), ref in refs.items():
        if stage == "parse":
            found[name.split(" ")[0]] += ImageTable(ref.file()).samples
    return found


def measure_growth(scale: Scale) -> Result:
    """Measure every stage at every size; the sizes take turns."""
    setting, largest, times, figures, lines = scale.setting, scale.sizes[-1], Times(), list[Figure](), list[Line]()
    for stage in STAGES:
        contestants = {f"{stage}, {size}x": scale.contestant(stage, size) for size in scale.sizes}
        times |= interleave(contestants, setting.repeats, told=setting.told)
    images = {size: scale.images(size) for size in scale.sizes}
    for stage in BARS:
        figures += _rates(scale, stage, sum(images[largest].values()))
    for stage in STAGES:
        turns = [times[f"{stage}, {size}x"] for size in scale.sizes]
        peak = [max(one.peak for one in scale.counted(stage, size)) for size in scale.sizes]
        samples = [images[size]["train"] for size in scale.sizes]
        lines.append(growth(stage, samples, [median(seconds) for seconds in turns], peak))
        linear = samples[-1] / samples[-2]
        what = f"growth of {stage}, {samples[-2]:,} to {samples[-1]:,} images"
        figures.append(ratio(what, turns[-1], [linear * second for second in turns[-2]], Goal(1.1, 1.0)))
    return Result(times, figures, lines)


def _rates(scale: Scale, stage: str, images: int) -> list[Figure]:
    """Return rate and memory of a stage at the largest size, on one core."""
    found, what = scale.counted(stage, scale.sizes[-1]), f"{stage}, one core, {images:,} images"
    rate, memory = BARS[stage]
    return [
        summarize(what, "samples/s", [images / one.own for one in found], rate),
        summarize(f"{what}, hashing and flushing too", "samples/s", [images / one.whole for one in found]),
        summarize(f"{what}, memory", "MB", [one.peak / 1e6 for one in found], memory),
    ]


def measure_streaming(scale: Scale) -> Result:
    """Measure an epoch of training at the last size but one, the table streamed and in memory."""
    size = scale.sizes[-2]
    images = scale.images(size)["train"]
    peaks = list[float]()

    def epoch(memory: int) -> float:
        measured = scale.run("train", size, training_within(memory))
        if memory < images * 784:
            peaks.append(measured.peak / 1e6)
        return median(measured.epochs)

    streamed, whole = "epoch, streamed", "epoch, in memory"
    contestants: dict[str, Contestant] = {
        whole: lambda: epoch(images * 784 * 16),
        streamed: lambda: epoch(images * 784 // 2),
    }
    times = interleave(contestants, scale.setting.repeats, told=scale.setting.told)
    what, goal = f"training streamed, {images:,} images", Goal(0.75, 0.9, at_least=True)
    return Result(
        times,
        [
            # The rate of the one beside the rate of the other: their times the other way round.
            ratio(f"{what}, rate beside in memory", times[whole], times[streamed], goal),
            summarize(f"{what}, memory", "MB", peaks[-scale.setting.repeats :], Goal(1200)),
        ],
    )
