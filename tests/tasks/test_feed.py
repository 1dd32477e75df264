"""Feeding: from memory or from the disk, the same rows in the same order and the same bits of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from schemas.errors import BadTable
from schemas.held_out import Way
from schemas.image_table import ImageTable
from schemas.training import Training
from tasks import train
from tasks.fitting.backend import keras
from tasks.fitting.feed import Feed, Held, Streamed
from tasks.fitting.holding import hold_out
from tasks.fitting.memory import Pool
from tests.tasks.by_hand import features, fresh, learned_order, parted, trained
from tests.tasks.small_split import same_weights, small_split, written

DATA = small_split(150)
BRISK: dict[str, Any] = {
    "hidden": (5, 4), "learning_rate": 0.05, "batch_size": 16, "epochs": 3, "validation_fraction": 0.2,
}  # fmt: skip
NOISY: dict[str, Any] = {**BRISK, "optimizer": "adamw", "dropout": 0.2, "shift": 1, "schedule": "cosine"}


@pytest.mark.parametrize(
    ("fields", "way"),
    [
        pytest.param(BRISK, "stratified", id="features"),
        pytest.param(NOISY, "last", id="raw pixels"),
        pytest.param(BRISK, "last", id="features, last", marks=pytest.mark.slow),
        pytest.param(NOISY, "stratified", id="raw pixels, stratified", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("window", "step"), [(1000, 24 * 2**20), (1000, 1), (90, 16 * 28), (50, 33 * 28), (1, 1)])
def test_what_is_streamed_gives_the_same_bits(
    table: ImageTable, monkeypatch: pytest.MonkeyPatch, way: Way, fields: dict[str, Any], window: int, step: int
) -> None:
    """However rows are cut into windows and steps, weights and history are those of rows held in memory, to the bit."""
    weights, history = trained(table, {**fields, "shuffle_window": window}, way=way)
    monkeypatch.setattr(Streamed, "STEP", step)
    monkeypatch.setattr(Held, "STEP", 48 * 28)  # and several steps of those too
    for memory in (1, 10**9):
        again, course = trained(table, {**fields, "shuffle_window": window, "memory": memory}, way=way)
        assert course == history
        assert same_weights(again, weights)


@pytest.mark.parametrize("kind", [Held, Streamed])
@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("way", get_args(Way))
def test_a_feed_gives_every_row_in_order(
    table: ImageTable, monkeypatch: pytest.MonkeyPatch, kind: type[Feed], shift: int, way: Way
) -> None:
    """From the epoch that is asked for, its elements together are the rows in the order of learning, and no other."""
    monkeypatch.setattr(kind, "STEP", 40 * 10)
    training = Training.model_validate({**BRISK, "shift": shift, "shuffle_window": 90})
    network = fresh(training)
    feed = kind(*parted(table, training, way), network, training)
    held = parted(table, training, way)[1].chosen
    expected = DATA.image if shift else features(network, DATA.image)
    elements = feed.training(1).take(2 * feed.steps).as_numpy_iterator()
    for epoch in (1, 2):
        order = learned_order(network, table, training, epoch, way)
        parts = []
        for _ in range(feed.steps):
            images, labels, *lying = next(elements)
            parts.append((images[lying[0]], labels[lying[0]]) if lying else (images, labels))
        assert len({len(labels) for _, labels in parts[:-1]} | {16}) <= 2
        np.testing.assert_array_equal(np.concatenate([images for images, _ in parts]), expected[order])
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in parts]), DATA.label[order])
    held_out = list(feed.validation().as_numpy_iterator())
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in held_out]), features(network, DATA.image)[held]
    )
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in held_out]), DATA.label[held])


@pytest.mark.parametrize("memory", [1, None])
def test_a_damaged_table_is_told_as_such(tmp_path: Path, memory: int | None) -> None:
    """A row group that cannot be read ends training with the table's own error, also out of the thread that streams."""
    path, training = tmp_path / "table.parquet", Training.model_validate({**BRISK, "memory": memory})
    held = hold_out(written(path, DATA), "last", training)
    content = bytearray(path.read_bytes())
    content[700:1500] = bytes(800)
    path.write_bytes(content)
    with pytest.raises(BadTable, match="a whole row group"):
        train.fit(fresh(training), ImageTable(path), training, held)


@pytest.mark.parametrize("kind", [Held, Streamed])
def test_the_model_is_one_of_keras(table: ImageTable, tmp_path: Path, kind: type[Feed]) -> None:
    """Keras's own callbacks work with either feed: early stopping, and checkpoints that load with their optimizer."""
    training = Training.model_validate({**BRISK, "epochs": 40, "learning_rate": 0.5})
    network = fresh(training)
    feed = kind(*parted(table, training), network, training)
    history = network.trainee.fit(
        feed.training(0),
        steps_per_epoch=feed.steps,
        epochs=training.epochs,
        validation_data=feed.validation(),
        verbose=0,
        shuffle=False,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
        ],
    ).history
    losses = history["val_loss"]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < training.epochs
    assert len(list(tmp_path.glob("*.weights.h5"))) == len(losses)
    other = fresh(training)
    other.trainee.optimizer.build(other.trainee.trainable_variables)
    other.trainee.load_weights(tmp_path / f"{best + 1}.weights.h5")
    assert same_weights(network.trainee.get_weights(), other.trainee.get_weights())


def test_few_large_rows_take_no_room_for_many(table: ImageTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for what is streamed is that of the rows there are, where a step or a block would have more."""
    shapes = []

    def room(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Pool:
        shapes.append(shape)
        return Pool(shape, dtype)

    monkeypatch.setattr("tasks.fitting.feed.Pool", room)
    training = Training.model_validate({**BRISK, "batch_size": 65_536})
    feed = Streamed(*parted(table, training), fresh(training), training)
    (images, _), (held_out, _) = next(iter(feed.training(0))), next(iter(feed.validation()))
    assert (len(images), len(held_out)) == (120, 30)
    assert set(shapes) == {(120, 6), (30, 6)}


def test_rows_are_held_where_they_fit(table: ImageTable, caplog: pytest.LogCaptureFixture) -> None:
    """A table is streamed when it would take more memory than it may, which is said with both sizes, and only then."""
    training = Training.model_validate(BRISK)
    rows, held_out = parted(table, training)
    needed = Held.memory(rows, held_out, fresh(training))
    assert needed == 150 * (6 * 4 + 4)
    with caplog.at_level("INFO", "idxflow.train"):
        trained(table, {**BRISK, "memory": needed})
        assert "streamed" not in caplog.text
        trained(table, {**BRISK, "memory": needed - 1})
    assert "the table is streamed" in caplog.text
    moving = Training.model_validate({**BRISK, "shift": 1})
    assert Held.memory(rows, held_out, fresh(moving)) == 120 * (6 + 4) + 30 * (6 * 4 + 4)


def test_held_rows_are_shared_and_not_copied(table: ImageTable) -> None:
    """Every step hands out the one array, from the start of the training to its end."""
    training = Training.model_validate(BRISK)
    feed = Held(*parted(table, training), fresh(training), training)
    elements = [images for images, *_ in feed.training(0).take(3)]
    assert len({np.from_dlpack(images).ctypes.data for images in elements}) == 1
