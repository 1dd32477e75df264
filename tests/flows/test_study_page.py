"""The page of a sweep in Prefect's dashboard: the winner, its tests, the best trials, and nothing that is markup."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from flows.run_record import RunRecord, StudyFacts
from flows.study_page import LARGEST, SHOWN, study_page
from schemas.training import Training
from schemas.tuning import Trials
from tests.tasks.sweeps import history_of, left, left_by, sweep


def test_the_page_tells_what_was_found(tmp_path: Path) -> None:
    """Winner, tests, what mattered and the best trials stand in tables, as many cells in a row as in its header."""
    found = left(tmp_path / "out", sweep(tmp_path, 30, pruned=3, failed=1, tests=3))
    page = study_page(found)
    assert f"**Trial {found.best}**: held-out accuracy" in page
    assert "better by more than chance with 3 of 3 seeds" in page
    assert "6 models of this study looked at the test images" in page
    assert "| learning_rate |" in page
    assert page.count("`train/") == SHOWN
    tables = re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE)
    assert len(tables) == 4
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_its_figures_stand_alone(tmp_path: Path) -> None:
    """Each figure is an image that is XML of its own, with its colours, and asks for nothing."""
    page = study_page(left(tmp_path / "out", sweep(tmp_path, 9)))
    figures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(figures) == 3
    for each in figures:
        drawn = base64.b64decode(each).decode()
        assert ET.fromstring(drawn).tag.endswith("svg")
        assert "prefers-color-scheme: dark" in drawn
        assert "url(" not in drawn


def test_a_large_sweep_has_a_page_that_fits(tmp_path: Path) -> None:
    """Of many long trials the page stays below what Prefect takes."""
    found = left(tmp_path / "out", sweep(tmp_path, 300, pruned=100, training=Training(epochs=100)))
    large = found.model_copy(update={"trials": found.trials * 8})
    assert len(study_page(large).encode()) <= LARGEST


def test_without_a_winner_it_says_so(tmp_path: Path) -> None:
    """Where all trials failed the page has no table of them, and their reasons are no markup."""
    arguments = sweep(tmp_path, 2)
    told = [each.model_copy(update={"state": "failed", "reason": "<b>|*x*"}) for each in arguments["trials"].told]
    page = study_page(left(tmp_path / "out", arguments | {"trials": Trials(told=tuple(told)), "trained": []}))
    assert "**No winner**" in page
    assert "<b>" not in page
    assert "trial 1 failed: \\<b\\>\\|\\*x\\*" in page


@pytest.mark.parametrize("objective", ["accuracy", "loss"])
def test_a_record_keeps_what_was_found(tmp_path: Path, objective: str) -> None:
    """The facts of a study survive a record, with the paths of its page and of the winner's configuration."""
    arguments = sweep(tmp_path, 5, tests=1, objective=objective)
    found = left(tmp_path / "out", arguments)
    ref = left_by(tmp_path / "out", 5, history_of([0.5]), "study")
    facts = StudyFacts.of(ref, "a" * 16)
    assert Path(facts.page).name == "study.html"
    assert Path(facts.best).name == "best.toml"
    assert (facts.winner, facts.trials, facts.tested) == (found.best, 5, found.means)
    record = {
        "id": "a" * 12, "dataset": "digits", "state": "completed", "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0, "flow_run": "x", "study": facts.model_dump(mode="json"), "sweep": {"trials": 5},
    }  # fmt: skip
    read = RunRecord.model_validate(record)
    assert read.study == facts
    best = f"{100 * (facts.accuracy or 0):.2f} %" if objective == "accuracy" else f"loss {facts.loss:.4f}"
    assert read.tuned == f"tune, 5 trials, best {best} held-out"
    assert RunRecord.model_validate(record | {"study": None}).tuned == "tune, 5 trials asked for"
    assert RunRecord.model_validate(record | {"study": None, "sweep": {}}).tuned == ""
