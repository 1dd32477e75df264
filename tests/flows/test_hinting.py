"""Hints from networks that have not seen the images: what is trained, what is cached, and what stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from artifacts.archive.lookup import find, find_artifact, find_run
from artifacts.archive.roots import find_roots, read_graph
from artifacts.store.store import Store
from flows.folds import base_of, crosschecked
from flows.hinting import hinting
from flows.run_record import RunRecord
from schemas.errors import UsageError
from schemas.image_table import ImageTable
from tasks.fitting.folds import deal_table
from tasks.inference.perceptron import Perceptron
from tests.flows.own_sets import computed, make_set, run

FOLDS = [f"fold {number} of 3" for number in (1, 2, 3)]


def ask(record: RunRecord, folds: int = 3) -> RunRecord:
    """Run the flow; mypy sees through its decorator only so far."""
    done: RunRecord = hinting(record.id, folds)
    return done


def artifact(home: Path, record: RunRecord, stage: str, name: str = "") -> Path:
    """Return the folder of an artifact of a run."""
    row = next(row for row in record.stages if (row.stage, row.name) == (stage, name))
    return Store(home).folder(stage, row.version)


def test_each_image_is_scored_by_the_network_that_has_not_seen_it(home: Path, tmp_path: Path) -> None:
    """A training a fold and one crosscheck; then they are cached, and runs, models and `latest` are as before."""
    own = make_set(tmp_path / "leaves", 1)
    trained = run(own)
    store = Store(home)
    assert crosschecked(store, base_of(store, trained), 3) is None
    asked = ask(trained)
    assert computed(asked) == [*FOLDS, "crosscheck"]
    assert (asked.state, asked.hints_of, asked.folds, asked.dataset) == ("completed", trained.id, 3, "leaves")
    table = ImageTable(artifact(home, trained, "parse", "train") / "table.parquet")
    fold, rows = deal_table(table, 3), table.read()
    scores = pq.read_table(artifact(home, asked, "crosscheck") / "predictions.parquet").to_pydict()
    assert scores["sample_id"] == list(range(60))
    assert set(scores["split"]) == {"train"}
    for number, name in enumerate(FOLDS):
        found = probabilities(artifact(home, asked, "fold", name.removeprefix("fold ")), rows.image)
        for row in np.flatnonzero(fold == number):
            assert scores["loss"][row] == pytest.approx(-np.log(found[row, rows.label[row]]), abs=1e-5)
            assert scores["predicted"][row] == found[row].argmax()
        history = (artifact(home, asked, "fold", name.removeprefix("fold ")) / "history.json").read_text()
        assert '"train_rows": 3' in history  # of 60 rows 40 are not in the fold, and some of these are held out
    assert computed(ask(trained)) == []
    assert crosschecked(store, base_of(store, trained), 3) is not None
    assert find_run(store, "latest").id == trained.id
    assert find_artifact(store, "latest").folder == artifact(home, trained, "train")
    assert find(store, "latest", completed=True).id == trained.id  # type: ignore[union-attr]
    assert computed(run(own)) == []
    kept = find_roots(store, read_graph(store), keep=1)
    assert {(row.stage, row.version) for row in (*trained.stages, *asked.stages)} <= kept


def probabilities(folder: Path, image: Any) -> Any:
    """Put images through a stored model."""
    return Perceptron.read(folder / "model.keras")(image)


def test_a_run_that_has_no_tables(home: Path) -> None:
    """Only what a completed run has left can be asked about."""
    record = RunRecord(
        id="a" * 12, dataset="leaves", state="failed", started="2026-01-01T00:00:00+00:00", seconds=1, flow_run="x"
    )
    with pytest.raises(UsageError, match=r"run a{12}, which failed: expected a completed run, with its train table"):
        base_of(Store(home), record)
