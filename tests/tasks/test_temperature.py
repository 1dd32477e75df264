"""The temperature inside the saved model: better probabilities, the same classes, and no word less where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts.ref import Ref
from schemas.model import MODEL
from schemas.training import HISTORY, History, Training
from tasks.fitting.backend import keras
from tasks.train import TrainSummary, train
from tests.tasks.small_split import normalizer_artifact, small_split, table_artifact

DATA = small_split(2000)
SMOOTHED = Training(
    hidden=(16,), learning_rate=0.05, batch_size=32, epochs=4, label_smoothing=0.4, validation_fraction=0.2
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ref, Ref]:
    """The train table and the normaliser."""
    folder = tmp_path_factory.mktemp("inputs")
    return table_artifact(folder / "table", "train", DATA, group=300), normalizer_artifact(folder / "normalizer")


def trained(inputs: tuple[Ref, Ref], folder: Path, **fields: Any) -> tuple[Any, History, TrainSummary]:
    """Train with other settings; return the saved model, its history and its summary."""
    training = Training.model_validate({**SMOOTHED.model_dump(), **fields})
    out = folder / "out"
    out.mkdir()
    summary = train.function(*inputs, training, "last", folder / "checkpoints", out)
    assert isinstance(summary, TrainSummary)
    model = keras.saving.load_model(out / MODEL, compile=False, safe_mode=True)
    return model, History.model_validate_json((out / HISTORY).read_bytes()), summary


def cross_entropy(model: Any, rows: slice) -> float:
    """Of some rows, in nats."""
    chances = np.asarray(model(DATA.image[rows]), np.float64)
    return float(-np.log(chances[np.arange(len(chances)), DATA.label[rows]]).mean())


def test_probabilities_become_better_and_no_class_changes(inputs: tuple[Ref, Ref], tmp_path: Path) -> None:
    """The held-out rows choose it; the weights are the same, and the model that is saved has it."""
    (tmp_path / "plain").mkdir()
    plain, before, _ = trained(inputs, tmp_path / "plain")
    found, after, summary = trained(inputs, tmp_path, calibrate=True)
    assert before.temperature is None
    assert after.temperature is not None
    assert after.temperature == summary.temperature
    assert after.temperature < 1  # labels that were smoothed make a network too modest
    assert after.model_copy(update={"temperature": None}) == before
    for one, other in zip(found.get_weights(), plain.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()
    held, rest = slice(1600, 2000), slice(0, 1600)
    assert cross_entropy(found, held) < cross_entropy(plain, held) - 0.01
    assert cross_entropy(found, rest) < cross_entropy(plain, rest)
    classes = [np.asarray(model(DATA.image)).argmax(axis=1) for model in (plain, found)]
    np.testing.assert_array_equal(*classes)
    assert found.get_layer("temperature").scale == 1 / after.temperature


@pytest.mark.parametrize(("fraction", "rows"), [(0.05, 100), (0.0, 0)])
def test_too_few_rows_are_said(
    inputs: tuple[Ref, Ref], tmp_path: Path, caplog: pytest.LogCaptureFixture, fraction: float, rows: int
) -> None:
    """A temperature of a hundred rows would be chance: none is fitted, and the history and the log say why."""
    model, history, summary = trained(inputs, tmp_path, calibrate=True, validation_fraction=fraction, epochs=1)
    told = f"Not calibrated: that takes 200 held-out rows, and there are {rows}."
    assert told in caplog.text
    assert history.findings[-1] == summary.findings[-1] == told
    assert history.temperature is None
    assert "temperature" not in [layer.name for layer in model.layers]


def test_many_rows_are_not_all_taken(inputs: tuple[Ref, Ref], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One number needs no hundred thousand: every so many of the rows, over all groups, give nearly the same."""
    whole = trained(inputs, tmp_path, calibrate=True, validation_fraction=0.5)[1].temperature
    monkeypatch.setattr("tasks.fitting.temperature.MOST_ROWS", 350)
    (tmp_path / "few").mkdir()
    few = trained(inputs, tmp_path / "few", calibrate=True, validation_fraction=0.5)[1].temperature
    assert whole is not None
    assert few is not None
    assert few != whole
    assert few == pytest.approx(whole, rel=0.2)
