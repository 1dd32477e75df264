"""The pictures of the page."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from benchmarks.harness import Goal, Line, summarize
from benchmarks.pictures import draw_bars, draw_growth


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
