"""A training that is killed: the next run goes on after its last whole epoch, and makes the very same model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import PROJECT, run_python, start_python

pytestmark = pytest.mark.usefixtures("prefect_server")

EPOCHS = 500


def command(home: Path) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment of a run whose training takes some seconds."""
    from prefect.settings import PREFECT_API_URL

    environment = {
        "IDXFLOW_HOME": str(home),
        "PREFECT_API_URL": PREFECT_API_URL.value() or "",
        "PYTHONPATH": str(PROJECT),
    }
    arguments = ["-m", "idxflow", "run", "--json", "--dataset", "digits", "--set", f"training.epochs={EPOCHS}"]
    return arguments, os.environ | environment


def model_of(home: Path, tmp_path: Path) -> dict[str, Any]:
    """Run to the end; return the manifest of the model."""
    arguments, environment = command(home)
    output, _ = run_python(*arguments, cwd=tmp_path, environment=environment)
    version = next(stage["version"] for stage in json.loads(output)["stages"] if stage["stage"] == "train")
    manifest: dict[str, Any] = json.loads((home / "artifacts" / "train" / version / "manifest.json").read_text())
    return manifest


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    """Killed in the middle of training, a run is gone on with, and leaves the same bits as one that was left alone."""
    home, unbroken = tmp_path / "home", tmp_path / "unbroken"
    arguments, environment = command(home)
    process = start_python(*arguments, cwd=tmp_path, environment=environment, log=tmp_path / "log")
    deadline = time.monotonic() + 120
    while not list(home.glob("artifacts/train/.checkpoints-*/checkpoint")):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (checkpoint,) = home.glob("artifacts/train/.checkpoints-*/checkpoint")
    assert not list(home.glob("artifacts/train/*/manifest.json"))
    left = json.loads(subprocess.run(
        [sys.executable, "-c", READ, str(checkpoint.parent)], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout)  # fmt: skip
    assert 0 < left < EPOCHS
    found, expected = model_of(home, tmp_path), model_of(unbroken, tmp_path)
    assert found["version"] == expected["version"]
    assert found["files"]["model.keras"]["content"] == expected["files"]["model.keras"]["content"]
    for name in ("history.json", "curve.csv"):
        assert found["files"][name] == expected["files"][name]
    assert not checkpoint.exists()


READ = """
import sys
from pathlib import Path
from tasks.fitting.checkpoint import read_checkpoint
print(len(read_checkpoint(Path(sys.argv[1])).epochs))
"""
