"""
The harness: contestants take turns, and their times become figures that are held against bars.

pyperf was weighed and left: it times one benchmark after the other, each in processes of its own, so that whatever
else the machine does meanwhile strikes one contestant alone. Here all take turns in one process run, and a ratio is the
median of ratios whose two times were taken side by side.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from benchmarks.machine import Machine

Unit = Literal["x", "s", "samples/s", "MB", "%", ""]
Times = dict[str, list[float]]
Contestant = Callable[[], float]
"""Does its work once, what it has to prepare outside of the clock, and returns the seconds."""
Told = Callable[[str, float], None]
"""Called with a contestant's name and its seconds, as soon as they are known."""


def silent(_name: str, _seconds: float) -> None:
    """Tell nobody."""


class Goal(NamedTuple):
    """
    What a figure is held against: nothing, unless it is said.

    Args: at_least: whether more is better.
    """

    bar: float | None = None
    stretch: float | None = None
    at_least: bool = False


NO_GOAL = Goal()


@dataclass(frozen=True)
class Setting:
    """
    What is measured, and how often.

    Args:
        mnist:   the folder of the four `.gz` files.
        work:    a folder for everything that is made on the way.
        dataset: what `idxflow run --dataset` takes; its files are those in `mnist`.
        repeats: turns that count; one more goes before them as a warm-up.
        epochs:  of the tutorial's network. The bars are about 50.
    """

    mnist: Path
    work: Path
    dataset: str = "mnist"
    repeats: int = 5
    epochs: int = 50
    told: Told = silent


class Figure(BaseModel):
    """
    One line of the table.

    Args:
        what:  what was measured, and beside what.
        unit:  x: a ratio of two times; MB: 10^6 bytes.
        value: the median over the turns; `low` and `high` are the least and the most.
    """

    model_config = ConfigDict(frozen=True)
    what: str
    unit: Unit
    value: float
    low: float
    high: float
    goal: Goal = NO_GOAL

    def reaches(self, goal: float | None) -> bool:
        """Tell whether the value is as good as `goal`, or better."""
        return goal is not None and (self.value >= goal if self.goal.at_least else self.value <= goal)

    @property
    def verdict(self) -> Literal["stretch", "bar", "missed", ""]:
        """The best that is reached; empty where there is no bar."""
        if self.goal.bar is None:
            return ""
        return "stretch" if self.reaches(self.goal.stretch) else "bar" if self.reaches(self.goal.bar) else "missed"

    def of_bar(self, value: float) -> float:
        """
        Return a value of this figure as a share of the bar: 1 is the bar itself, less is better.

        Raises: ValueError: there is no bar.
        """
        if self.goal.bar is None:
            raise ValueError(f"{self.what} has no bar")
        return self.goal.bar / value if self.goal.at_least else value / self.goal.bar


class Line(BaseModel):
    """
    How one stage grows.

    Args:
        samples: images of each size, ascending; `seconds` and `peak` (bytes) belong to them.
        slope:   of the logarithm of time over that of size; 1 is linear, fixed costs make it less.
    """

    model_config = ConfigDict(frozen=True)
    stage: str
    samples: tuple[int, ...]
    seconds: tuple[float, ...]
    peak: tuple[int, ...]
    slope: float


@dataclass
class Result:
    """What one benchmark found: all times, by contestant, and what they come to."""

    times: Times = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    growth: list[Line] = field(default_factory=list)


class Report(BaseModel):
    """What one process run measured; written as JSON."""

    model_config = ConfigDict(frozen=True)
    began: str
    seconds: float
    machine: Machine
    settings: dict[str, int]
    times: dict[str, Times]
    figures: list[Figure]
    growth: list[Line] = []


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes, garbage of earlier work collected before."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleave(
    contestants: Mapping[str, Contestant],
    repeats: int,
    *,
    warm_ups: int = 1,
    told: Told = silent,
) -> Times:
    """
    Let the contestants take turns: forth, then back, so that none always comes after the same one.

    Returns: by contestant, its seconds in each turn after the warm-ups.
    """
    times: Times = {name: [] for name in contestants}
    for turn in range(-warm_ups, repeats):
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:
            seconds = contestants[name]()
            told(f"{name} (warm-up)" if turn < 0 else name, seconds)
            if turn >= 0:
                times[name].append(seconds)
    return times


def summarize(what: str, unit: Unit, values: Sequence[float], goal: Goal = NO_GOAL) -> Figure:
    """Make a figure of what the turns gave."""
    return Figure(what=what, unit=unit, value=median(values), low=min(values), high=max(values), goal=goal)


def ratio(what: str, times: Sequence[float], beside: Sequence[float], goal: Goal = NO_GOAL) -> Figure:
    """Make a figure of how many times one contestant takes what another one takes, turn by turn."""
    return summarize(what, "x", [one / other for one, other in zip(times, beside, strict=True)], goal)
