"""A training that is killed: the next run goes on after its last whole epoch, and makes the very same model."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from artifacts.manifest import Manifest
from flows.pipeline import pipeline
from flows.run_record import RunRecord
from schemas.training import Training
from tasks.fitting.checkpoint import read_checkpoint
from tests.processes import ending, served_environment, start_python, until

EPOCHS = 150


def trained(home: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """Run to the end; return the manifest of the model."""
    monkeypatch.setenv("IDXFLOW_HOME", str(home))
    record: RunRecord = pipeline("digits", Training(epochs=EPOCHS))
    version = next(row.version for row in record.stages if row.stage == "train")
    return Manifest.model_validate_json((home / "artifacts" / "train" / version / "manifest.json").read_bytes())


@pytest.mark.usefixtures("prefect_server")
def test_a_killed_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of training, a run is gone on with, and leaves the same bits as one that was left alone."""
    home, log = tmp_path / "home", tmp_path / "log"
    command = ("-m", "idxflow", "run", "--dataset", "digits", "--home", str(home), "--set", f"training.epochs={EPOCHS}")
    with ending(start_python(*command, cwd=tmp_path, environment=served_environment(), log=log)) as process:
        until(
            lambda: process.poll() is not None or list(home.glob("artifacts/train/.checkpoints-*/checkpoint")),
            120,
            log.read_text,
        )
        os.killpg(process.pid, signal.SIGKILL)
    (checkpoint,) = home.glob("artifacts/train/.checkpoints-*/checkpoint")
    assert not list(home.glob("artifacts/train/*/manifest.json"))
    state = read_checkpoint(checkpoint.parent, checkpoint.parent.name.removeprefix(".checkpoints-"))
    assert state is not None
    assert 0 < len(state.epochs) < EPOCHS
    found, expected = trained(home, monkeypatch), trained(tmp_path / "unbroken", monkeypatch)
    assert found.version == expected.version
    assert found.files["model.keras"].content == expected.files["model.keras"].content
    for name in ("history.json", "curve.csv"):
        assert found.files[name] == expected.files[name]
    assert not checkpoint.exists()
