"""The configuration, its profiles and its checks; and what a training leaves."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from schemas import training
from schemas.training import EpochRow, History, Training


def test_the_defaults_are_the_tutorials() -> None:
    """Without any value given, every figure is the one of the tutorial."""
    assert Training().model_dump() == {
        "profile": "tutorial",
        "hidden": (50, 50),
        "activation": "tanh",
        "dropout": 0.0,
        "optimizer": "sgd",
        "learning_rate": 0.001,
        "schedule": "inverse_time",
        "decay": 1e-7,
        "warmup": 0.0,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "shift": 0,
        "calibrate": False,
        "batch_size": 64,
        "epochs": 50,
        "patience": 0,
        "shuffle_window": 100_000,
        "validation_fraction": 0.1,
        "memory": None,
        "seed": 123,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden", (50, 0)),
        ("activation", "softmax"),
        ("dropout", 1.0),
        ("optimizer", "adam"),
        ("schedule", "linear"),
        ("warmup", 0.91),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("shift", 17),
        ("shift", 0.5),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("decay", -1e-9),
        ("momentum", 1.0),
        ("batch_size", 0),
        ("epochs", 0),
        ("validation_fraction", 1.0),
        ("seed", 2**31),
        ("seed", -1),
        ("profile", "fast"),
        ("profile", ["tutorial"]),
        ("learning_rat", 0.1),
    ],
)
def test_a_wrong_value_or_key_is_refused_by_name(field: str, value: Any) -> None:
    """A value out of bounds and an unknown key are refused, and the error names the field."""
    with pytest.raises(ValidationError) as caught:
        Training.model_validate({field: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_given_values_lie_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile replaces the defaults, and what is given replaces the profile's."""
    monkeypatch.setitem(training.PROFILES, "tutorial", {"epochs": 7, "batch_size": 32})
    configuration = Training(batch_size=128)
    assert (configuration.epochs, configuration.batch_size, configuration.momentum) == (7, 128, 0.9)


def test_every_profile_is_a_whole_configuration() -> None:
    """Each profile that can be named says nothing but fields and values that a configuration has, and what differs."""
    assert set(training.PROFILES) == set(get_args(training.ProfileName))
    for name, values in training.PROFILES.items():
        configuration = Training.model_validate({"profile": name})
        assert {field: getattr(configuration, field) for field in values} == values
        assert all(value != Training.model_fields[field].default for field, value in values.items())


def test_the_tuned_profile_leaves_seed_and_split_alone() -> None:
    """What is compared between profiles, and what each was chosen on, is the same in all of them."""
    assert not {"seed", "validation_fraction"} & set(training.PROFILES["tuned"])


@pytest.mark.parametrize(("rows", "updates"), [(1, 3), (64, 3), (65, 6), (54_000, 2_532)])
def test_updates_are_counted_with_the_last_partial_batch(rows: int, updates: int) -> None:
    """An epoch's last mini-batch counts, however few rows it has."""
    assert Training(epochs=3).count_updates(rows) == updates


def test_a_history_survives_its_json() -> None:
    """Every figure of a history comes back from JSON bit by bit, the missing ones as None."""
    rows = (
        EpochRow(epoch=1, loss=0.1 + 0.2, accuracy=1 / 3),
        EpochRow(epoch=2, loss=1e-300, accuracy=1.0, validation_loss=2.5, validation_accuracy=0.0),
    )
    history = History(train_rows=3, validation_rows=1, updates=2, kept=2, epochs=rows)
    assert History.model_validate_json(history.model_dump_json()) == history
