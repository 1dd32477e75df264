"""What a person sees of a run in Prefect's dashboard, without reading its log."""

from __future__ import annotations

import re

import numpy as np
import pytest

from flows.run_record import RunRecord
from schemas.text import share, span
from tests.dashboard.looking import Window, pixels

FIGURES = {"loss", "accuracy", "confusion", "samples", "mistakes"}
SUMMARY, METRICS = "summary-digits-tutorial", "metrics-digits-tutorial"


def test_a_run_is_named_for_what_it_found(look: Window, first: RunRecord) -> None:
    """Its name tells data set, profile and accuracy, its tags the first two, its task runs their file or split."""
    window = look()
    window.open(f"/runs/flow-run/{first.flow_run}", "Task Runs")
    accuracy = share(first.metrics["test"].accuracy)
    window.sees(f"digits / tutorial / {accuracy}", "digits", "tutorial", "Completed", "20 Task runs")
    window.sees("download train-images-idx3-ubyte.gz", "verify t10k-labels-idx1-ubyte.gz", "parse test")
    window.sees(*(f"{stage.stage} {stage.name}".strip() for stage in first.stages))
    window.keep("task-runs")


def test_the_log_has_epochs_and_no_noise(look: Window, first: RunRecord) -> None:
    """In the run's log the epochs go by, and no library talks."""
    window = look()
    window.open(f"/runs/flow-run/{first.flow_run}", "Logs")
    window.sees(re.compile(r"^epoch 9 of 50: accuracy 0\.\d{4}, loss \d\.\d{4}, val_accuracy"))
    assert not re.search("oneDNN|cuda|tensorflow", window.page.locator("body").inner_text(), re.IGNORECASE)
    window.keep("log")


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 800),
        pytest.param("dark", 1400, marks=pytest.mark.slow),
        pytest.param("dark", 800, marks=pytest.mark.slow),
        pytest.param("light", 1400, marks=pytest.mark.slow),
    ],
)
def test_the_summary_is_a_page_worth_reading(look: Window, first: RunRecord, theme: str, width: int) -> None:
    """The figures are drawn, in colours that stand out in the dashboard's theme, and no table is cut off."""
    window = look(theme, width)
    window.open(f"/runs/flow-run/{first.flow_run}", "Artifacts")
    window.follow(SUMMARY)
    scores = first.metrics["test"], first.metrics["train"]
    window.sees(f"digits: {share(scores[0].accuracy)} of the test images are right")
    rows = window.rows()
    assert rows[:2] == [
        [split, share(score.accuracy), span(score.interval) if score.interval else "", f"{score.loss:.4f}"]
        for split, score in zip(("test", "train"), scores, strict=True)
    ]
    assert [row[0] for row in rows[2:]] == [stage.stage for stage in first.stages]
    figures = window.figures()
    assert set(figures) == FIGURES
    for name in ("loss", "accuracy", "confusion"):
        seen = pixels(figures[name])
        paper = np.median(seen, axis=(0, 1))
        assert (paper.mean() < 0.5) == (theme == "dark"), name
        assert np.abs(seen - paper).max() > 0.5, f"{name}: nothing to be seen on {theme} paper"
    assert not window.cut_off()
    window.keep("summary")


def test_the_figures_of_a_run_are_a_table(look: Window, first: RunRecord) -> None:
    """Accuracies, losses, seed, epochs, duration and the run's id, a row each."""
    window = look()
    window.open(f"/runs/flow-run/{first.flow_run}", "Artifacts")
    window.follow(METRICS)
    window.sees("test accuracy")
    table = dict(window.rows())
    assert table["test accuracy"] == share(first.metrics["test"].accuracy)
    assert (table["epochs"], table["seed"], table["run"]) == ("50", "123", first.id)
    window.keep("metrics")
