"""Results as a person reads them: tables, a page, pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from benchmarks.harness import Goal, Line, Report, Unit, summarize
from benchmarks.machine import describe_machine
from benchmarks.pictures import draw_bars, draw_growth
from benchmarks.show import END, START, fill, latest, number, page_of, result_lines

FIGURES = [
    summarize("a ratio", "x", [0.28, 0.3, 0.31], Goal(0.33, 0.2)),
    summarize("a rate", "samples/s", [478e3], Goal(650e3, 1e6, at_least=True)),
    summarize("a time", "s", [0.2]),
]


def report(growth: list[Line]) -> Report:
    """Return a report of the figures."""
    return Report(
        began="2026-01-01T12:00+00:00",
        seconds=90,
        machine=describe_machine(),
        settings={"repeats": 3},
        times={"fit": {"ours": [1.0, 2.0, 4.0]}},
        figures=FIGURES,
        growth=growth,
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.284, "x", "0.28"),
        (0.0123, "x", "0.012"),
        (14.25, "s", "14.2 s"),
        (0.2004, "s", "0.200 s"),
        (478_400, "samples/s", "478k/s"),
        (1_234_000, "samples/s", "1.23M/s"),
        (1231.4, "MB", "1,231 MB"),
        (99.127, "%", "99.13 %"),
    ],
)
def test_a_number_has_its_unit(value: float, unit: Unit, text: str) -> None:
    """Each unit has the digits that its noise leaves worth reading."""
    assert number(value, unit) == text


def test_the_table_says_what_was_reached() -> None:
    """A line a figure: value, spread, bar, stretch, verdict."""
    header, *lines = (line.plain for line in result_lines(FIGURES))
    assert header.split() == ["what", "measured", "least", "to", "most", "bar", "stretch", "reached"]
    assert lines[0].split() == ["a", "ratio", "0.30", "0.28", "to", "0.31", "at", "most", "0.33", "0.20", "bar"]
    assert lines[1].endswith("missed")
    assert lines[2].split() == ["a", "time", "0.200", "s", "0.200", "s", "to", "0.200", "s"]


def test_a_page_keeps_all_but_its_results() -> None:
    """Results stand between their two marks, and what stood there before is gone."""
    page = f"# Title\n{START}\nold\n{END}\nend\n"
    filled = fill(page, page_of([report([])]))
    assert filled.startswith(f"# Title\n{START}\n")
    assert filled.endswith(f"{END}\nend\n")
    assert "old" not in filled
    assert "| a ratio | 0.30 | 0.28 to 0.31 | at most 0.33 | 0.20 | bar |\n" in filled
    assert "| ours | 2.0 s | 1.0 s | 4.0 s | 3 |\n" in filled
    assert fill(filled, "new") == f"# Title\n{START}\nnew\n{END}\nend\n"


def test_growth_is_a_table_of_its_own() -> None:
    """A line a stage: seconds and memory at each size, and the slope."""
    line = Line(stage="parse", samples=(60_000, 600_000), seconds=(0.2, 1.5), peak=(10**8, 2 * 10**8), slope=0.875)
    assert "| parse | 0.200 s, 1.5 s | 0.88 | 100 MB, 200 MB |\n" in page_of([report([line])])


def test_what_was_measured_last_counts() -> None:
    """A run of parts takes the place of these parts in an earlier one, and of nothing else."""
    line = Line(stage="parse", samples=(60_000, 600_000), seconds=(0.2, 1.5), peak=(10**8, 2 * 10**8), slope=0.875)
    whole = report([line]).model_copy(update={"times": {"growth": {"parse": [1.0]}, "streaming": {"epoch": [2.0]}}})
    part = report([]).model_copy(update={"times": {"streaming": {"epoch": [3.0]}}, "figures": FIGURES[:1]})
    first, second = latest([whole, part])
    assert (first.times, first.growth, first.figures) == ({"growth": {"parse": [1.0]}}, [line], FIGURES[1:])
    assert second == part
    assert latest([part, whole]) == [whole]


def test_a_page_without_a_place_for_results_is_refused() -> None:
    """Nothing is written somewhere else in it."""
    with pytest.raises(ValueError, match=START):
        fill("# Title\n", "new")


def test_bars_and_growth_are_drawn(tmp_path: Path) -> None:
    """Reached, missed by far and without a bar, one size or three: each picture can be opened and has ink."""
    figures = [
        summarize("reached", "x", [0.2], Goal(0.33, 0.2)),
        summarize("missed by far", "samples/s", [1e3], Goal(1e6, at_least=True)),
        summarize("only told", "s", [1]),
    ]
    lines = [
        Line(stage=name, samples=(10, 100, 1000), seconds=(1, 2, 20), peak=(1, 2, 3), slope=1) for name in ("a", "b")
    ]
    draw_bars(figures, tmp_path / "bars.webp")
    draw_growth(lines, tmp_path / "growth.webp")
    for name in ("bars", "growth"):
        picture = matplotlib.image.imread(tmp_path / f"{name}.webp")
        assert picture.shape[1] == pytest.approx(1210, abs=2)
        assert picture[..., :3].std() > 5
