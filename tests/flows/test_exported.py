"""Exports of trained models, by real runs: each format and the scoring example give evaluate's stored predictions."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flows.pipeline import pipeline
from idxflow.api import ArchivedRun, open_store
from idxflow.exporting.formats.form import FORMATS
from idxflow.exporting.proof import TOLERANCE
from schemas.training import Training

pytestmark = pytest.mark.usefixtures("prefect_server")


def check(run: ArchivedRun, target: Path) -> None:
    """Export a run's model in every format, and hold the proofs and the scoring example against its predictions."""
    done = open_store().export(run.id, target, formats=FORMATS)
    images = run.table("test")
    samples = len(images.label)
    for proof in done.proofs:
        assert proof.images == samples
        if proof.exact:
            assert (proof.equal, proof.ties, proof.accuracy) == (samples, 0, run.metrics.test.accuracy)
            assert proof.largest_difference <= TOLERANCE
    np.save(target.parent / "images.npy", images.image)
    command = [sys.executable, str(target / "score.py"), str(target.parent / "images.npy")]
    scored = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(io.StringIO(scored.stdout)))
    stored = [row for row in run.predictions().to_pylist() if row["split"] == "test"]
    assert [row["class"] for row in rows] == [images.classes[row["predicted"]] for row in stored]
    np.testing.assert_allclose(
        [float(row["probability"]) for row in rows], [row["probability"] for row in stored], atol=6e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "elu", "gelu"])
def test_every_activation_is_exported(activation: str, home: Path, tmp_path: Path) -> None:
    """Trained on the digits with each activation, every exact format has the class of each test image."""
    training = Training.model_validate({"activation": activation, "epochs": 12})
    record = pipeline("digits", training=training)
    check(open_store().run(record.id), tmp_path / "model")


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("profile", ["tutorial", "tuned"])
def test_mnist_is_exported(profile: str, mnist_files: Path, home: Path, tmp_path: Path) -> None:
    """Of the genuine test images all 10,000 have the stored class in each exact format, with a temperature too."""
    training = Training.model_validate({"profile": profile, "epochs": 2})
    record = pipeline("mnist", training=training, mirrors=(mnist_files.as_uri(),))
    run = open_store().run(record.id)
    assert (run.history.temperature is not None) is (profile == "tuned")
    check(run, tmp_path / "model")
