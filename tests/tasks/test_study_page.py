"""The page of a study: it stands alone, tells everybody the same, and holds for one trial as for a thousand."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from schemas.training import Training
from schemas.tuning import PAGE, STUDY, Study, Trials
from tasks.explaining.study_figures import Scale, shown_range
from tasks.explaining.study_page import render_study
from tasks.study import study
from tests.tasks.sweeps import left, sweep


class Seen(HTMLParser):
    """What a page holds: its words, its tables' headers, and every address in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.heads, self.addresses, self.ids = (
            list[str](),
            list[dict[str, str | None]](),
            set[str](),
            list[str](),
        )
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note headers, ids and addresses."""
        given = dict(attrs)
        if tag == "th":
            self.heads.append(given)
        self.ids += filter(None, [given.get("id")])
        self.addresses |= {value for name in ("href", "src") if (value := given.get(name))}

    def handle_data(self, data: str) -> None:
        """Note words."""
        self.words += data.split()

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(self.words)


def figures(page: str) -> list[ET.Element]:
    """Return the figures of a page, each of which has to be XML."""
    return [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def page_of(home: Path, count: int, **given: Any) -> str:
    """Return the page of a sweep."""
    left(home / "out", sweep(home, count, **given))
    return (home / "out" / PAGE).read_text(encoding="utf-8")


def test_the_answer_comes_first(tmp_path: Path) -> None:
    """Winner, tests, the models that looked at the test images and all counts stand in the header."""
    page = page_of(tmp_path, 24, pruned=3, failed=1, tests=3)
    found = Study.model_validate_json((tmp_path / "out" / STUDY).read_bytes())
    header = Seen(page[: page.index("</header>")]).text
    assert found.winner is not None
    assert f"trial {found.best} did best" in header
    assert f"{100 * (found.winner.accuracy or 0):.2f} %" in header.replace("\N{NO-BREAK SPACE}", " ")
    assert "against the profile's own settings the winner is better by more than chance with 3 of 3 seeds" in header
    assert "20 complete, 3 pruned, 1 failed" in header
    assert "by 6 models of this study" in header


def test_it_asks_for_nothing(tmp_path: Path) -> None:
    """No address leads out of the page, and its one script is the one that its policy allows."""
    page = page_of(tmp_path, 8)
    assert all(address.startswith(("#", "data:")) for address in Seen(page).addresses)
    assert "http" not in page.replace("http-equiv", "")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_it_is_for_everybody(tmp_path: Path) -> None:
    """Each figure has a title and words, each header its scope, ids are unique, and states stand in words."""
    page = page_of(tmp_path, 24, pruned=3, failed=1, tests=1)
    seen, drawn = Seen(page), figures(page)
    assert [each.get("class") for each in drawn] == ["history", "curves", "parallel", "importance"]
    for each in drawn:
        assert [child.tag for child in each][:2] == ["title", "desc"]
        assert all(child.text for child in list(each)[:2])
        assert set((each.get("aria-labelledby") or "").split()) <= set(seen.ids)
    assert all(head.get("scope") for head in seen.heads)
    assert len(seen.ids) == len(set(seen.ids))
    assert {"pruned", "failed", "complete", "winner"} <= set(seen.words)


def test_every_trial_is_in_every_figure(tmp_path: Path) -> None:
    """The history and the parallel axes have a mark of each trial, the curves of each that was trained."""
    page = page_of(tmp_path, 12, pruned=2, failed=2)
    for name, count in (("history", 12), ("parallel", 12), ("curves", 10)):
        drawn = next(each for each in figures(page) if each.get("class") == name)
        named = [each.text or "" for each in list(drawn.iter("title"))[1:]]
        assert len({each.split(":")[0] for each in named}) == count, name


@pytest.mark.parametrize(("count", "failed"), [(1, 0), (3, 3), (2, 1)])
def test_few_trials_are_a_page(tmp_path: Path, count: int, failed: int) -> None:
    """One trial, or none that completed, has a page that says so, without a figure of nothing and without a None."""
    arguments = sweep(tmp_path, count, failed=failed)
    if failed == count:
        told = tuple(each.model_copy(update={"state": "failed"}) for each in arguments["trials"].told)
        arguments |= {"trials": Trials(told=told), "trained": []}
    left(tmp_path / "out", arguments)
    page = (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
    text = Seen(page).text
    assert ("there is no winner" in text) == (failed == count)
    assert "None" not in text
    assert "nan" not in page
    assert "NaN" not in page.partition("<script>")[0]
    figures(page)


def test_what_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    """The name of a set and the reason of a failure are text and no markup."""
    arguments = sweep(tmp_path, 4, failed=1, dataset="<b>&\u202eset")
    told = tuple(each.model_copy(update={"reason": "<script>x</script>\x1b"}) for each in arguments["trials"].told)
    left(tmp_path / "out", arguments | {"trials": Trials(told=told)})
    page = (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_page_of_many_trials_is_small(tmp_path: Path) -> None:
    """200 trials of 50 epochs with six fields are a page of less than a megabyte."""
    space = {
        "learning_rate": "log:1e-4..1e-1", "momentum": "0.5..0.99", "weight_decay": "log:1e-4..1e-1",
        "hidden": "[50,50]|[100,50]|[300,100]", "batch_size": "16..512", "activation": "relu|tanh|gelu",
    }  # fmt: skip
    page = page_of(tmp_path, 200, pruned=60, failed=6, training=Training(epochs=50), space=space)
    assert len(page.encode()) < 1_000_000


@pytest.mark.slow
def test_a_thousand_trials_have_a_page(tmp_path: Path) -> None:
    """1,000 trials of 200 epochs are a page that a browser opens at once: less than two megabytes."""
    page = page_of(tmp_path, 1000, pruned=500, failed=30, tests=2, training=Training(epochs=200))
    assert len(page.encode()) < 2_000_000
    assert "PED-ANOVA" in page


def test_far_worse_trials_do_not_flatten_the_others() -> None:
    """A few trials that learned nothing lie at the edge; where many are bad, all are shown."""
    good = [0.95 + at / 1000 for at in range(30)]
    low, high = shown_range([*good, 0.1, 0.11], "accuracy")
    assert 0.85 < low < 0.95
    assert high <= 1
    assert shown_range([*good[:4], 0.1, 0.11, 0.3], "accuracy")[0] < 0.1
    assert shown_range([0.1, 0.12, 0.11, 0.13, 9.0], "loss")[1] < 1
    one = shown_range([0.5], "accuracy")
    assert one[0] < 0.5 < one[1]


def test_ticks_are_round_and_within() -> None:
    """Ticks lie between the ends, on round values, of a logarithmic scale at powers of ten."""
    assert Scale(0.84, 0.99, 0, 1).ticks() == [0.85, 0.9, 0.95]
    assert Scale(1e-4, 1e-1, 0, 1, log=True).ticks() == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert Scale(2e-3, 5e-2, 0, 1, log=True).ticks() == pytest.approx([2e-3, 5e-3, 1e-2, 2e-2, 5e-2])
    assert Scale(1, 1000, 0, 300, log=True)(10) == pytest.approx(100)
    assert Scale(0, 1, 0, 10)(7) == 10


def test_the_page_follows_from_the_study_alone(tmp_path: Path) -> None:
    """Read back from its file, a study gives the page that the stage has written, to the byte."""
    found = left(tmp_path / "out", sweep(tmp_path, 9, pruned=1, tests=1))
    assert render_study(found) == (tmp_path / "out" / PAGE).read_text(encoding="utf-8")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {STUDY, PAGE, "trials.csv", "best.toml"}
    assert study.stage == "study"
