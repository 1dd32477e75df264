"""The harness: turns, ratios, bars, and what is said of the machine."""

from __future__ import annotations

import pytest

from benchmarks.harness import Figure, Goal, clock, interleave, ratio, summarize
from benchmarks.machine import describe_machine


def test_contestants_take_turns_forth_and_back_and_warm_ups_do_not_count() -> None:
    """Three contestants go forth, then back; what they took in the warm-up is told and not kept."""
    seconds, order = iter(range(100)), list[str]()
    contestants = {name: lambda: float(next(seconds)) for name in "abc"}
    times = interleave(contestants, 2, warm_ups=2, told=lambda name, _: order.append(name))
    assert order == [*(f"{name} (warm-up)" for name in "abccba"), *"abccba"]
    assert times == {"a": [6, 11], "b": [7, 10], "c": [8, 9]}


def test_a_ratio_is_the_median_of_what_was_taken_side_by_side() -> None:
    """A machine that slows down halfway changes no ratio, though it changes every time."""
    figure = ratio("ours", [1, 1, 3, 3, 3], [2, 2, 6, 6, 6], Goal(0.5))
    assert (figure.value, figure.low, figure.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("value", "goal", "verdict"),
    [
        (0.2, Goal(0.33, 0.2), "stretch"),
        (0.33, Goal(0.33, 0.2), "bar"),
        (0.34, Goal(0.33, 0.2), "missed"),
        (0.9, Goal(0.75, 0.9, at_least=True), "stretch"),
        (0.75, Goal(0.75, 0.9, at_least=True), "bar"),
        (0.74, Goal(0.75, 0.9, at_least=True), "missed"),
        (0.1, Goal(1.0), "bar"),
        (0.1, Goal(), ""),
    ],
)
def test_a_figure_is_held_against_its_bar(value: float, goal: Goal, verdict: str) -> None:
    """A bar that is just met is met, from whichever side; without a stretch nothing reaches it."""
    assert summarize("it", "x", [value], goal).verdict == verdict


def test_a_share_of_the_bar_is_less_where_the_figure_is_better() -> None:
    """Twice as fast as the bar asks is half of it, whether the figure is a time or a rate."""
    time, rate = (
        Figure(what="it", unit="x", value=2, low=2, high=2, goal=Goal(4, at_least=more)) for more in (False, True)
    )
    assert time.of_bar(2) == 0.5
    assert rate.of_bar(8) == 0.5


def test_a_figure_is_read_back_as_it_was_written() -> None:
    """JSON keeps the bar, the stretch and their direction."""
    figure = summarize("it", "x", [1, 2, 3], Goal(2, None, at_least=True))
    assert Figure.model_validate_json(figure.model_dump_json()) == figure


def test_the_clock_counts_the_work() -> None:
    """The clock runs while the work does, and the work is done once."""
    done = list[int]()
    assert 0 < clock(lambda: done.append(1)) < 1
    assert done == [1]


def test_the_machine_is_told_in_three_lines() -> None:
    """Processor, memory and load; versions; the commit: as text, and read back from JSON."""
    machine = describe_machine()
    hardware, software, version = str(machine).splitlines()
    assert f"{machine.environment.cores} cores" in hardware
    assert machine.memory > 10**8
    assert {"tensorflow", "keras", "numpy", "prefect"} <= set(software.replace(",", "").split())
    assert version.startswith("idxflow ")
    assert type(machine).model_validate_json(machine.model_dump_json()) == machine
