"""Training: the same weights as a plain loop, the same figures as plain `fit`, and the ways in which it ends."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import TrainingDiverged
from schemas.events import Event, Progress, listening
from schemas.image_table import Batch, ImageTable
from schemas.training import History, Training
from tasks.fitting.backend import keras
from tasks.fitting.network import content_digest
from tasks.train import TrainSummary, train
from tests.processes import PROJECT, bare_environment, run_python
from tests.tasks.by_hand import features, fit, fresh, train_by_hand
from tests.tasks.small_split import CLASSES, normalizer_artifact, small_split, table_artifact

DATA = small_split(150)
BRISK = Training(hidden=(5, 4), learning_rate=0.05, decay=0.01, batch_size=16, epochs=3, validation_fraction=0.2)

ADAMW = {
    "optimizer": "adamw", "learning_rate": 0.02, "schedule": "cosine", "warmup": 0.2, "weight_decay": 0.1,
    "label_smoothing": 0.1,
}  # fmt: skip
NOISY = Training.model_validate({**BRISK.model_dump(), **ADAMW, "dropout": 0.2, "shift": 1})


def changed(training: Training, **fields: Any) -> Training:
    """`training` with other fields."""
    return Training.model_validate({**training.model_dump(), **fields})


@pytest.mark.parametrize("rule", [{}, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("batch_size", [16, 120, 1000])
def test_an_epoch_is_a_plain_loop_of_updates(table: ImageTable, batch_size: int, rule: dict[str, Any]) -> None:
    """Weights, losses and accuracies are those of an update rule written out in NumPy, last partial batch included."""
    training = changed(BRISK, batch_size=batch_size, **rule)
    network = fresh(training)
    expected, epochs = train_by_hand(network, table, training)
    history = fit(network, table, training)
    for found, right in zip(network.trainee.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, right, atol=3e-6)
    np.testing.assert_allclose([(row.loss, row.accuracy) for row in history.epochs], epochs, rtol=3e-6)
    assert (history.train_rows, history.validation_rows) == (120, 30)
    assert history.updates == int(network.trainee.optimizer.iterations) == 3 * -(-120 // batch_size)


def test_figures_are_those_of_plain_fit(table: ImageTable) -> None:
    """Where one batch is an epoch, order does not matter, and Keras's own steps give the same history and weights."""
    training = changed(BRISK, batch_size=120, decay=0, epochs=5)
    network, other = fresh(training), fresh(training)
    plain = keras.Model(other.trainee.inputs, keras.layers.Softmax()(other.trainee.output))
    plain.compile(
        keras.optimizers.SGD(training.learning_rate, momentum=training.momentum),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    inputs, labels = features(other, DATA.image), keras.utils.to_categorical(DATA.label, len(CLASSES))
    expected = plain.fit(inputs, labels, batch_size=120, epochs=5, validation_split=0.2, verbose=0).history
    rows = fit(network, table, training).epochs
    for name, field in (("loss", "loss"), ("accuracy", "accuracy")):
        np.testing.assert_allclose([getattr(row, field) for row in rows], expected[name], rtol=1e-5)
        np.testing.assert_allclose(
            [getattr(row, f"validation_{field}") for row in rows], expected[f"val_{name}"], rtol=1e-5
        )
    for found, right in zip(network.trainee.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(found, right, atol=1e-6)


def test_validation_is_measured_in_blocks(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out rows are all scored when they do not fit into one block, or into a whole number of them."""
    whole = fit(fresh(BRISK), table, BRISK)
    monkeypatch.setattr("tasks.fitting.network.BLOCK", 7)
    blocks = fit(fresh(BRISK), table, BRISK)
    for one, other in zip(whole.epochs, blocks.epochs, strict=True):
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-6)
        assert one.validation_accuracy == pytest.approx(other.validation_accuracy, rel=1e-6)


def test_nothing_need_be_held_out(table: ImageTable, caplog: pytest.LogCaptureFixture) -> None:
    """With a validation fraction of 0 every row is trained on, and validation figures are absent everywhere."""
    events: list[Event] = []
    with listening(events.append), caplog.at_level(logging.INFO, "idxflow.train"):
        history = fit(fresh(BRISK), table, changed(BRISK, validation_fraction=0))
    assert (history.train_rows, history.validation_rows) == (150, 0)
    assert all(row.validation_loss is None and row.validation_accuracy is None for row in history.epochs)
    assert all(isinstance(event, Progress) and set(event.facts) == {"loss", "accuracy"} for event in events)
    assert "val" not in caplog.text


@pytest.mark.parametrize("epochs", [1, 30])
def test_divergence_stops_the_run(table: ImageTable, epochs: int) -> None:
    """A loss or a weight that is no longer finite ends training with its epoch and a smaller step to try."""
    wild = changed(BRISK, hidden=(50, 50, 50), activation="relu", learning_rate=10, epochs=epochs)
    with pytest.raises(TrainingDiverged, match=rf"^epoch \d+ of {epochs}: .*`--set training\.learning_rate=1`") as told:
        fit(fresh(wild), table, wild)
    assert int(re.findall(r"\d+", told.value.subject)[0]) <= epochs


def test_a_weight_broken_by_the_last_update_is_found(table: ImageTable) -> None:
    """With nothing held out, weights that the very last update made NaN are found although every loss was finite."""
    training = changed(BRISK, batch_size=1000, epochs=1, validation_fraction=0)
    network = fresh(training)
    network.trainee.optimizer.build(network.trainee.trainable_variables)
    network.trainee.optimizer.momentums[0].assign(np.full((6, 5), np.nan))
    with pytest.raises(TrainingDiverged, match="epoch 1 of 1"):
        fit(network, table, training)


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_training_can_be_interrupted(table: ImageTable, error: type[BaseException]) -> None:
    """Whatever is raised in the main thread ends training at the next epoch."""
    seen: list[int] = []

    def stop(event: Event) -> None:
        assert isinstance(event, Progress)
        seen.append(event.done)
        if event.done == 2:
            raise error

    with listening(stop), pytest.raises(error):
        fit(fresh(BRISK), table, changed(BRISK, epochs=50))
    assert seen == [1, 2]


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Training, str], Path]:
    """Run the stage and return its folder."""
    table, normalizer = table_artifact(tmp_path / "parse", "train", DATA), normalizer_artifact(tmp_path / "normalize")

    def start(training: Training, name: str) -> Path:
        (tmp_path / name).mkdir()
        summary = train.function(table, normalizer, training, "last", tmp_path / f"{name}-checkpoints", tmp_path / name)
        model = keras.saving.load_model(tmp_path / name / "model.keras")
        assert isinstance(summary, TrainSummary)
        assert summary.content == {"model.keras": content_digest(model)}
        assert summary.weights == 6 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3
        return tmp_path / name

    return start


@pytest.mark.parametrize("training", [BRISK, NOISY], ids=["plain", "noisy"])
def test_the_same_configuration_gives_the_same_bits(run: Callable[[Training, str], Path], training: Training) -> None:
    """A second run leaves bit-identical weights, history and curve; another seed leaves others."""
    folders = [run(training, "one"), run(training, "two"), run(changed(training, seed=124), "other")]
    one, two, other = (keras.saving.load_model(folder / "model.keras") for folder in folders)
    assert content_digest(one) == content_digest(two) != content_digest(other)
    for name in ("history.json", "curve.csv"):
        same, again, different = ((folder / name).read_bytes() for folder in folders)
        assert same == again != different


UNTRAINED = """
import sys
from pathlib import Path
from schemas.errors import StageError
from schemas.training import Training
from tasks.train import train
from tests.tasks.refs import bind
folder = Path(sys.argv[1])
try:
    train.function(bind("parse", folder), None, Training(), "last", folder, folder)
except StageError as error:
    print(error, "tensorflow" in sys.modules)
"""


def test_a_class_that_is_not_trained_on_is_refused_before_tensorflow(tmp_path: Path) -> None:
    """The refusal names the class, and costs nothing."""
    rows = Batch(DATA.sample_id[:60], np.repeat(np.arange(3, dtype=np.uint16), [30, 25, 5]), DATA.image[:60])
    table_artifact(tmp_path / "parse", "train", rows)
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    said, _ = run_python("-c", UNTRAINED, str(tmp_path / "parse"), cwd=tmp_path, environment=environment)
    assert "all rows of the class high held out" in said
    assert said.endswith(" False\n")


def test_a_model_says_which_rows_it_was_trained_on(table: ImageTable) -> None:
    """The history keeps the way, the number of rows and what is odd about them."""
    history = fit(fresh(BRISK), table, BRISK, way="stratified")
    assert (str(history.held_out), history.findings) == ("30 of 150 train rows, stratified", ())


def test_what_is_saved_moves_and_drops_nothing(run: Callable[[Training, str], Path]) -> None:
    """The saved model takes raw pixels, scores held-out rows as validation did, and alike in training mode or not."""
    folder = run(NOISY, "out")
    model = keras.saving.load_model(folder / "model.keras", safe_mode=True)
    history = History.model_validate_json((folder / "history.json").read_bytes())
    probabilities = np.asarray(model(DATA.image[120:]))
    np.testing.assert_array_equal(np.asarray(model(DATA.image[120:], training=True)), probabilities)
    loss = -np.log(probabilities[np.arange(30), DATA.label[120:]]).mean()
    assert history.epochs[-1].validation_loss == pytest.approx(loss, rel=1e-5)
    assert {type(layer).__name__ for layer in model.layers} == {"InputLayer", "Normalization", "Dense", "Softmax"}


def test_the_stage_leaves_model_history_and_curve(run: Callable[[Training, str], Path]) -> None:
    """The three files agree: one row per epoch, as announced, and a model that learned the training rows."""
    events: list[Event] = []
    with listening(events.append):
        folder = run(changed(BRISK, epochs=12), "out")
    assert {path.name for path in folder.iterdir()} == {"model.keras", "history.json", "curve.csv"}
    history = History.model_validate_json((folder / "history.json").read_bytes())
    with (folder / "curve.csv").open(newline="") as file:
        curve = list(csv.DictReader(file))
    assert [row["epoch"] for row in curve] == [str(number) for number in range(1, 13)]
    assert [float(row["validation_loss"]) for row in curve] == [row.validation_loss for row in history.epochs]
    told = [(event.done, event.total, event.facts["val_accuracy"]) for event in events if isinstance(event, Progress)]
    assert told == [(row.epoch, 12, row.validation_accuracy) for row in history.epochs]
    model = keras.saving.load_model(folder / "model.keras")
    held_out = np.asarray(model(DATA.image[120:])).argmax(axis=1) == DATA.label[120:]
    assert held_out.mean() == pytest.approx(history.epochs[-1].validation_accuracy)
    assert held_out.mean() > 0.8
