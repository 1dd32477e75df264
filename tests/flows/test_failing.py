"""What is cheap comes before what is dear, and what has failed ends at once."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.current import CURRENT, Call
from artifacts.engine.execution import Done, Execution
from artifacts.refresh import Refresh
from artifacts.stage import Stage
from artifacts.store.store import Store
from flows.dag import dag
from flows.run_record import RunRecord
from schemas.catalog import load_dataset
from schemas.training import Training
from tests.flows.own_sets import describe
from tests.flows.test_pipeline import Command
from tests.processes import PROJECT, ending
from tests.tasks.idx_bytes import idx_bytes

BAR = 2.0
"""Seconds from the failing stage to the end of the process."""


class Noted:
    """A run that notes what is asked of it, in its order; see `artifacts.current.CurrentRun`."""

    id, flow_run, dataset, dataset_id = "0" * 12, "", "digits", "digits"

    def __init__(self, store: Store) -> None:
        self.store, self.refresh, self.asked = store, Refresh(), list[str]()

    def submit(self, stage: Stage, arguments: dict[str, Any]) -> str:
        """Note a stage."""
        self.asked.append(f"{stage.stage} {stage.name_of(arguments)}".strip())
        return self.asked[-1]

    def seems_settled(self, *_: Any) -> bool:
        """Have no bundles."""
        return False

    def settled(self, *_: Any) -> None:
        """Have no bundles."""

    def try_all(self, calls: Sequence[Call], *_: Any) -> list[str]:
        """Note stages."""
        return [self.submit(call.stage, call.stage.bind(**call.arguments)) for call in calls]

    def perform(self, execution: Execution) -> Done:
        """Compute nothing."""
        raise RuntimeError(execution.name)

    def publish(self, **facts: Any) -> None:
        """Keep nothing."""

    def require(self, *results: str) -> None:
        """Note what has to have ended well."""
        self.asked.append(f"require {', '.join(results)}")

    def reference(self, result: str) -> None:
        """Have nothing."""


def test_both_splits_are_checked_before_anything_is_trained(tmp_path: Path) -> None:
    """Training begins when the profiles of both splits and the normaliser are there, and not sooner."""
    noted = Noted(Store(tmp_path))
    token = CURRENT.set(noted)
    try:
        dag(load_dataset("digits"), Training())
    finally:
        CURRENT.reset(token)
    at = noted.asked.index("train")
    assert noted.asked[at - 1] == "require validate train, validate test, normalize"
    assert noted.asked[at + 1 :] == ["evaluate", "report"]


def written(folder: Path, rows: int, *, missing: int, more: str) -> Path:
    """Write a set of noise, of which the test split lacks `missing` labels."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for split, short in (("train", 0), ("test", missing)):
        images = random.integers(0, 256, (rows, 28, 28), np.uint8)
        labels = np.arange(rows - short, dtype=np.uint8) % 2
        for name, array in (("images", images), ("labels", labels)):
            path = folder / f"{split}-{name}.gz"
            path.write_bytes(gzip.compress(idx_bytes(array), 1))
    path = folder / "noise.toml"
    path.write_text(describe((28, 28), ("even", "odd"), more=more))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "more", "told"),
    [
        (1, "", "expected a label for each of 20000 images, found 19999 labels"),
        (0, 'checks.drift = "error"\nchecks.max_drift = 1e-9', "expected a table that passes every check"),
    ],
    ids=["parse", "validate"],
)
def test_a_broken_test_split_ends_the_run_at_once(
    prefect_server: None, tmp_path: Path, missing: int, more: str, told: str
) -> None:
    """Its error is shown once, when it happens, and the process ends within 2 s, while TensorFlow's import goes on."""
    path = written(tmp_path / "set", 20_000, missing=missing, more=more)
    command = Command(tmp_path / "home", PROJECT)
    with ending(command.start("--dataset", str(path))) as process:
        assert process.stderr
        said, failed = list[str](), 0.0
        for line in process.stderr:
            said.append(line)
            failed = failed or (time.monotonic() if line.startswith("ERROR") else 0.0)
        assert process.wait(30) == 1
        ended = time.monotonic()
    errors = [line for line in said if line.startswith("ERROR")]
    assert len(errors) == 1, said
    assert told in errors[0]
    assert ended - failed < BAR
    assert not list(command.home.glob("artifacts/train/*"))
    (record,) = command.home.glob("runs/*.json")
    assert RunRecord.model_validate_json(record.read_bytes()).state == "failed"
