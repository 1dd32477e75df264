"""`idxflow page`: the history of a store as one file."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import idxflow
from artifacts.archive.names import Names
from artifacts.ref import Ref
from artifacts.store.store import Store
from idxflow.cli.ending import DONE, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.listing.curves import LARGEST, POINTS, read_curve, thinned
from idxflow.views.store_page import MARK
from schemas.errors import UsageError
from schemas.training import EpochRow, History
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build
from tests.idxflow.histories import write_year
from tests.processes import PROJECT, bare_environment, run_python

FACTS = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def facts(page: str) -> dict[str, list[dict[str, object]]]:
    """Return what the page's script draws from."""
    (found,) = FACTS.findall(page)
    document: dict[str, list[dict[str, object]]] = json.loads(found)
    return document


def write(*words: str) -> str:
    """Write the page of the store in the working folder, and return it."""
    assert main(["page", *words]) == DONE
    return Path(".idxflow/page.html").read_text()


def test_a_page_has_every_run(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs with their figures, links that lead to reports from where it lies, curves, and nothing from outside."""
    write_year(store, 40, epochs=5)
    page = write()
    said = capsys.readouterr().out
    assert said.startswith("Page:            .idxflow/page.html\nIn it:           40 runs, ")
    found = facts(page)
    assert len(found["runs"]) == page.count("<tr data-run=") == 40
    assert len(found["curves"]) == sum(run["curve"] is not None for run in found["runs"])
    links = re.findall(r'href="(artifacts/[^"]+)"', page)
    assert len(links) == len(found["curves"])
    assert all((store.home / link).is_file() for link in links)
    assert not re.search(r"""(?:src|href)=["'](?!data:|artifacts/)""", page)
    assert "default-src 'none'" in page


def test_a_page_elsewhere_has_links_that_hold(store: Store, desk: Path) -> None:
    """A page in another folder leads to the same reports."""
    write_year(store, 3, epochs=2)
    (desk / "pages").mkdir()
    assert main(["page", "--out", "pages/runs.html"]) == DONE
    links = re.findall(r'href="([^"]+report.html)"', (desk / "pages" / "runs.html").read_text())
    assert len(links) == 3
    assert all((desk / "pages" / link).resolve().is_file() for link in links)


def test_an_earlier_page_is_replaced_and_nothing_else(
    store: Store, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page is written anew as often as one likes; a file of somebody's stays, and the refusal says so."""
    write_run(store, "a" * 12)
    assert "1 run" in write()
    write_run(store, "b" * 12)
    assert "2 runs" in write()
    (desk / "mine.html").write_text("mine")
    assert main(["page", "--out", "mine.html"]) == WRONG_USAGE
    assert "mine.html: expected a new file, or an earlier page of idxflow" in capsys.readouterr().err
    assert (desk / "mine.html").read_text() == "mine"


def test_in_python_it_is_the_same(store: Store, desk: Path) -> None:
    """The page of the API is the command's; where it cannot go is refused, and what is written is told."""
    write_run(store, "a" * 12)
    archive = idxflow.open_store(store.home)
    made = archive.page()
    assert (made.path, made.runs, made.curves) == (store.home / "page.html", 1, 0)
    assert made.bytes == made.path.stat().st_size
    assert archive.page(desk / "other.html").path == desk / "other.html"
    (desk / "mine.html").write_text("mine")
    with pytest.raises(UsageError, match="an earlier page of idxflow"):
        archive.page(desk / "mine.html")
    assert (desk / "mine.html").read_text() == "mine"


def test_names_from_outside_are_text(store: Store) -> None:
    """A data set whose name is markup is shown as text, in the table and in what the script reads."""
    write_run(store, "a" * 12, dataset="</script><b>x</b>")
    page = write()
    assert "<b>" not in page
    assert facts(page)["runs"][0]["set"] == "</script><b>x</b>"


def test_an_empty_history_has_a_page(store: Store) -> None:
    """Where nothing has run the page says so."""
    assert "Nothing has run yet" in write()
    assert write().startswith(MARK)


def test_aliases_caveats_and_unreadable_records_are_told(store: Store) -> None:
    """An alias stands beside its run, and a record that does not read above all."""
    ref = build(store, {"model.keras": b"weights"}, "train")
    write_run(store, "a" * 12, [stage_record(ref)])
    Names(store).set_alias("champion", ref.stage, ref.version, datetime(2026, 1, 1, tzinfo=UTC))
    (store.runs / "damaged.json").write_text("{")
    page = write()
    assert '<span class="alias">champion</span>' in page
    assert "1 record of the history cannot be read" in page


def test_json_says_where_the_page_is(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Path, runs, curves and bytes."""
    write_year(store, 3, epochs=2)
    assert main(["page", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert Path(found["page"]).stat().st_size == found["bytes"]
    assert (found["runs"], found["curves"]) == (3, 3)


def history(epochs: int, kept: int, *, held_out: bool = True, loss: float = 0.5) -> History:
    """A training of so many epochs."""
    rows = tuple(
        EpochRow(
            epoch=epoch,
            loss=loss,
            accuracy=epoch / epochs,
            validation_loss=loss if held_out else None,
            validation_accuracy=0.5 if held_out else None,
        )
        for epoch in range(1, epochs + 1)
    )
    return History(train_rows=9, validation_rows=1, updates=9, kept=kept, epochs=rows)


def test_a_long_curve_is_thinned() -> None:
    """Of a thousand epochs a hundred are kept, among them the first, the last, and the one of the model."""
    curve = thinned(history(1000, 777))
    assert len(curve.epochs) <= POINTS
    assert (curve.epochs[0], curve.epochs[-1]) == (1, 1000)
    assert 777 in curve.epochs
    assert curve.accuracy[-1] == 10_000
    assert thinned(history(100, 3)).epochs == tuple(range(1, 101))


def test_a_curve_without_held_out_rows_has_those_of_training() -> None:
    """What was not measured is left out; a loss that is no number that a page could draw is the largest."""
    curve = thinned(history(3, 3, held_out=False, loss=float("inf")))
    assert (curve.held_out_accuracy, curve.held_out_loss) == (None, None)
    assert curve.loss == (LARGEST,) * 3


def test_a_model_that_is_gone_has_no_curve(store: Store) -> None:
    """A run whose model was cleaned up is on the page, without a curve."""
    assert read_curve(store, "0" * 16) is None
    write_run(store, "a" * 12, [stage_record(Ref(stage="train", name="", version="0" * 16, digest="", manifest=""))])
    assert facts(write())["runs"][0]["curve"] is None


@pytest.mark.slow
def test_a_thousand_runs_are_a_page_in_two_seconds(store: Store) -> None:
    """With 1,000 runs of 50 epochs: less than 2 s, the process included, and less than 3 MB."""
    write_year(store)
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    took = []
    for _ in range(3):  # the first one may have to compile what it imports
        started = time.perf_counter()
        run_python("-m", "idxflow", "page", cwd=store.home.parent, environment=environment)
        took.append(time.perf_counter() - started)
    assert min(took) < 2.0
    assert (store.home / "page.html").stat().st_size < 3_000_000
