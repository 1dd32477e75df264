"""The page and the table of a run, as text."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from artifacts.manifest import Input
from artifacts.ref import Ref
from artifacts.store.store import Store
from flows.run_record import RunRecord
from flows.summary import headline, metrics_table, nothing_changed, stages_told, summary_page
from schemas.held_out import HeldOut
from schemas.results import LEAKED, Caveat
from schemas.training import EpochRow, History, Training
from tests.artifacts.archive.history import stage_record, write_run
from tests.artifacts.building import build

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
FIGURES = ("loss", "accuracy", "confusion", "samples", "mistakes")


def record_of(
    store: Store, *refs: Ref, computed: tuple[str, ...] = (), state: str = "completed", **facts: str
) -> RunRecord:
    """The record of a run over artifacts of this store."""
    rows = [stage_record(ref, cached=ref.stage not in computed, reason="seed 1 -> 2") for ref in refs]
    rows = [row.model_copy(update={"path": str(store.folder(row.stage, row.version))}) for row in rows]
    return write_run(store, "a" * 12, rows, state=state).model_copy(update=facts)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path)


@pytest.fixture
def report(store: Store) -> Ref:
    """A report with all of its figures."""
    return build(store, {f"{name}.svg": SVG for name in FIGURES}, "report", name="")


def test_the_page_shows_the_figures_of_the_report(store: Store, report: Ref) -> None:
    """Curve, confusion matrix, samples and mistakes are inside, in this order, between the words and the lineage."""
    page = summary_page(record_of(store, report))
    assert page.startswith("# mnist: 96.06 % of the test images are right\n\n**Nothing changed: all 1 stage cached.**")
    places = [page.index(f'alt="{name}"') for name in FIGURES]
    assert places == sorted(places)
    assert page.count(f"data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}") == len(FIGURES)
    assert places[-1] < page.index("## Lineage")


def test_the_page_names_what_was_made_from_what_and_why(store: Store, report: Ref) -> None:
    """Each artifact has its version and content, what was computed its reason; the ways to look further are there."""
    model = build(store, {"model.keras": b"model"}, "train", name="")
    page = summary_page(record_of(store, model, report, computed=("train",)))
    assert f"| train |  | **computed** | `{model.version[:8]}` | `{model.digest[:8]}` |" in page
    assert f"| report |  | cached | `{report.version[:8]}` | `{report.digest[:8]}` |" in page
    assert r"- **train**, 1.5 s, 1.0 kB: seed 1 \-\> 2" in page
    assert "- **report**" not in page
    assert "Nothing changed" not in page
    for way in (
        "idxflow show aaaaaaaaaaaa",
        f"idxflow lineage {model.version[:8]}",
        f"report/{report.version}/report.html",
    ):
        assert way in page


@pytest.mark.parametrize(
    ("count", "shown"),
    [(1, "`v0`"), (2, "`v0` `v1`"), (3, "`v0` `v1`<br>`v2`"), (4, "`v0` `v1`<br>`v2` `v3`"), (5, "5 artifacts")],
)
def test_the_lineage_fits_into_a_narrow_window(store: Store, count: int, shown: str) -> None:
    """Inputs stand two on a line, on two lines at most; of more the number is told."""
    taken = [build(store, {"table.parquet": b"table"}, salt=each) for each in range(count)]
    inputs = tuple(Input(argument="tables", **each.model_dump(include=set(Input.model_fields))) for each in taken)
    page = summary_page(record_of(store, build(store, {"model.keras": b"model"}, "train", inputs=inputs)))
    for place, each in enumerate(taken):
        shown = shown.replace(f"v{place}", each.version[:8])
    assert page.endswith(f" | {shown} |")


def test_a_page_stays_below_a_million_bytes(store: Store) -> None:
    """What is too large is left out, and said to be; what fits stays."""
    large = build(store, {"confusion.svg": SVG + b" " * 900_000, "samples.svg": SVG}, "report", name="")
    page = summary_page(record_of(store, large))
    assert len(page.encode()) < 1_000_000
    assert "predicted class\n\nToo large for this page; see the report." in page
    assert 'alt="samples"' in page


def test_what_comes_from_outside_is_shown_as_text(store: Store) -> None:
    """A name, warning or error that looks like Markdown or HTML is neither."""
    wrong = "![x](http://host/) <img src=x> | `a`\n# b"
    record = record_of(store, state="failed", error=wrong, dataset="_my_*set*").model_copy(
        update={"warnings": (wrong,)}
    )
    page = summary_page(record)
    shown = r"\!\[x\]\(http://host/\) \<img src=x\> \| \`a\` \# b"
    assert r"# \_my\_\*set\*: failed" in page
    assert f"> **Error:** {shown}\n" in page
    assert f"> **Warning:** {shown}\n" in page


def test_the_table_has_the_figures_of_the_run(store: Store, report: Ref) -> None:
    """Accuracy and loss of both splits, seed, epochs, duration, and what was computed."""
    record = record_of(store, report, computed=("report",))
    table = {row["figure"]: row["value"] for row in metrics_table(record)}
    assert table == {
        "test accuracy": "96.06 %",
        "test accuracy, 95 % interval": "95.66 to 96.42 %",
        "train accuracy": "99.00 %",
        "calibration": "probabilities are 0.7 points off on average (ECE)",
        "test loss": "0.1330",
        "train loss": "0.0468",
        "seed": "123",
        "epochs": "50",
        "duration": "30.0 s",
        "stages": "all 1 stage computed",
        "run": "aaaaaaaaaaaa",
    }


def test_what_voids_the_accuracy_stands_beside_it(store: Store, report: Ref) -> None:
    """Page and table have the caveat after the accuracies, and not the warning that says the same a second time."""
    leak = Caveat(kind="leak", message="99 of 297 test images (33.33 %) occur in the train split")
    record = record_of(store, report).model_copy(
        update={"caveats": (leak,), "warnings": (f"own test: {LEAKED}: 99", "NOT MNIST")}
    )
    rows = [(row["figure"], row["value"]) for row in metrics_table(record)]
    assert [name for name, _ in rows[1:4]] == ["test accuracy, 95 % interval", "train accuracy", "caveat"]
    assert rows[3][1] == leak.message
    page = summary_page(record)
    caveat = r"> **Caveat:** 99 of 297 test images \(33.33 %\) occur in the train split"
    assert page.index("| **train** | 99.00 %") < page.index(caveat) < page.index("seed 123")
    assert "> **Warning:** NOT MNIST" in page
    assert LEAKED not in page


def test_a_training_that_ended_early_says_so(store: Store) -> None:
    """With patience, page and table say how many epochs there were, of how many, and which one the model is from."""
    rows = tuple(EpochRow(epoch=epoch, loss=1, accuracy=0.5) for epoch in range(1, 13))
    history = History(train_rows=9, validation_rows=1, updates=12, kept=9, epochs=rows)
    model = build(store, {"history.json": history.model_dump_json().encode()}, "train", name="")
    record = record_of(store, model)
    patient = record.model_copy(update={"training": Training(patience=3)})
    assert {"figure": "epochs", "value": "12 of 50, the model from epoch 9"} in metrics_table(patient)
    assert "seed 123, 12 of 50 epochs, the model from epoch 9; completed in" in summary_page(patient)
    assert "seed 123, 50 epochs; completed in" in summary_page(record)
    failed = record_of(store, state="failed").model_copy(update={"training": Training(patience=3)})
    assert "seed 123, 50 epochs; failed in" in summary_page(failed)


def test_held_out_rows_are_told(store: Store, report: Ref) -> None:
    """Page and table say which rows were held out, where the record does."""
    record = record_of(store, report)
    held = record.model_copy(update={"held_out": HeldOut(way="stratified", rows=150, of=1500)})
    assert {"figure": "held out", "value": "150 of 1,500 train rows, stratified"} in metrics_table(held)
    assert "held out: 150 of 1,500 train rows, stratified; completed in" in summary_page(held)
    assert "held out" not in summary_page(record)


def test_a_line_says_how_a_run_ended(store: Store, report: Ref) -> None:
    """Accuracy and what was computed of a run that completed, the error of one that failed."""
    model = build(store, {"model.keras": b"model"}, "train", name="")
    record = record_of(store, model, report, computed=("train",))
    assert headline(record) == "test 96.06 %, train 99.00 %; 1 of 2 stages cached; computed: train"
    assert not nothing_changed(record)
    cached = record_of(store, model, report)
    assert headline(cached) == "test 96.06 %, train 99.00 %; nothing changed: all 2 stages cached"
    assert nothing_changed(cached)
    failed = record_of(store, model, state="failed")
    assert headline(failed) == "failed: it broke"
    assert stages_told(failed) == "1 stage finished, 1 of them cached"
    assert stages_told(record_of(store, state="failed")) == "no stage finished"
    assert not nothing_changed(failed)
