"""benchmarks/check.py: the quick ratios of now beside those of an earlier commit."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmarks.__main__ import check
from benchmarks.check import Recorded, compare, ratios
from benchmarks.harness import Figure, Goal
from benchmarks.machine import describe_machine
from schemas.errors import UsageError
from tests.benchmarks.digits import DIGITS


def figure(value: float, spread: float = 0.02, *, at_least: bool = False, what: str = "fit beside fit") -> Figure:
    """A ratio with its spread around it."""
    low, high = value - spread / 2, value + spread / 2
    return Figure(what=what, unit="x", value=value, low=low, high=high, goal=Goal(at_least=at_least))


def recorded(*figures: Figure) -> Recorded:
    """What an earlier commit had measured on this machine."""
    return Recorded(machine=describe_machine(), settings={"repeats": 3, "epochs": 10}, figures=figures)


@pytest.mark.parametrize(
    ("now", "before", "behind"),
    [
        (figure(0.25), figure(0.20), True),
        (figure(0.215), figure(0.20), False),
        (figure(0.15), figure(0.20), False),
        (figure(0.25, spread=0.2), figure(0.20), False),
        (figure(0.25), figure(0.20, spread=0.2), False),
        (figure(0.80, at_least=True), figure(0.95, at_least=True), True),
        (figure(0.99, at_least=True), figure(0.95, at_least=True), False),
    ],
    ids=["slower", "within", "faster", "noisy now", "noisy then", "less where more is better", "more"],
)
def test_what_fell_behind_by_more_than_it_varies_is_said(now: Figure, before: Figure, behind: bool) -> None:
    """Neither noise nor a gain is an alarm; a loss beyond the spread of either is."""
    (compared,) = compare([now], recorded(before))
    assert compared.behind == behind
    assert ("fell behind" in compared.cells) == behind


def test_a_ratio_that_nobody_has_recorded_is_new() -> None:
    """It is shown, and no alarm."""
    (compared,) = compare([figure(9.0, what="another")], recorded(figure(0.2)))
    assert (compared.behind, compared.cells[-1]) == (False, "new")


def test_only_ratios_are_compared() -> None:
    """Seconds are the machine's."""
    seconds = figure(3.0).model_copy(update={"unit": "s"})
    assert ratios([seconds, figure(0.2)]) == [figure(0.2)]


@pytest.mark.parametrize("content", [None, b"{", b"{}"])
def test_ratios_that_cannot_be_read_are_a_clear_error(content: bytes | None, tmp_path: Path) -> None:
    """A file that is missing or damaged is named, with the way to a new one."""
    if content is not None:
        (tmp_path / "recorded.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"recorded\.json: expected the ratios .* ARGS=--record"):
        Recorded.read(tmp_path / "recorded.json")


def test_what_is_in_the_repository_reads() -> None:
    """The recorded ratios are those that `make bench-check` compares with: of several stages, with their spreads."""
    from benchmarks.check import EPOCHS, RECORDED, REPEATS

    found = Recorded.read(RECORDED)
    assert found.settings == {"repeats": REPEATS, "epochs": EPOCHS}
    assert len(found.figures) == 4
    assert all(0 < each.low <= each.value <= each.high for each in found.figures)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_guard_notices_a_figure_that_was_far_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Record, then pretend that all had been a hundred times better: the check names them, and ends with 1."""
    target = tmp_path / "recorded.json"
    measure = partial(
        check, mnist=DIGITS, work=tmp_path / "work", recorded=target, repeats=1, epochs=1, dataset="digits"
    )
    assert measure(record=True) == 0
    kept = Recorded.read(target)
    better = tuple(
        each.model_copy(update={"value": each.value / 100, "low": each.low / 100, "high": each.high / 100})
        for each in kept.figures
    )
    kept.model_copy(update={"figures": better}).write(target)
    capsys.readouterr()
    assert measure() == 1
    assert "fell behind" in capsys.readouterr().out
