"""The training configuration: the tutorial's values, and what a wrong value is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas import training
from schemas.training import Training


def test_the_defaults_are_the_tutorials() -> None:
    """Without any value given, every figure is the one of the tutorial."""
    assert Training().model_dump() == {
        "profile": "tutorial",
        "hidden": (50, 50),
        "activation": "tanh",
        "learning_rate": 0.001,
        "decay": 1e-7,
        "momentum": 0.9,
        "batch_size": 64,
        "epochs": 50,
        "validation_fraction": 0.1,
        "seed": 123,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden", (50, 0)),
        ("activation", "softmax"),
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
        ("profile", "tuned"),
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
