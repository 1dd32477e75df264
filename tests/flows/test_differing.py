"""What a configuration has otherwise than its profile."""

from __future__ import annotations

from typing import Any

import pytest

from flows.differing import as_assigned, differing, in_words, usual
from idxflow.cli.settings import load_settings, parse_value
from schemas.training import PROFILES, Training


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ""),
        ({"profile": "tuned"}, ""),
        ({"epochs": 10, "hidden": (100, 50)}, "hidden=[100,50] epochs=10"),
        ({"seed": 7, "epochs": 10}, "epochs=10 seed=7"),
        ({"profile": "tuned", "calibrate": False, "dropout": 0.0}, "dropout=0.0 calibrate=false"),
        ({"memory": "2GB"}, ""),
    ],
)
def test_what_differs_is_told_as_it_is_set(given: dict[str, Any], words: str) -> None:
    """Fields in their order, the seed last, each as `--set` takes it; where it runs is no part of it."""
    training = Training.model_validate(given)
    assert in_words(differing(training.model_dump(mode="json"))) == words


def test_what_is_told_can_be_set() -> None:
    """The words, given to `--set`, make the same configuration."""
    training = Training.model_validate({"hidden": (100, 50), "activation": "relu", "calibrate": True, "seed": 5})
    words = in_words(differing(training.model_dump(mode="json"))).split()
    assert load_settings({}, [f"training.{word}" for word in words]).training == training


def test_a_profile_that_is_not_known_differs_in_nothing() -> None:
    """Of another version's profile it is not known what it has; nor of a record without a configuration."""
    assert differing({"profile": "later", "epochs": 3}) == {}
    assert differing({}) == {}
    assert usual("later") == {}
    assert set(PROFILES) == {"tutorial", "tuned"}


def test_an_older_record_has_fewer_fields() -> None:
    """What a record does not say is as the profile has it."""
    assert differing({"profile": "tutorial", "epochs": 3}) == {"epochs": 3}


@pytest.mark.parametrize("value", [[1, 2], True, 0.5, "relu", [], 3])
def test_values_are_read_back(value: object) -> None:
    """What is written is what `--set` reads."""
    assert parse_value(as_assigned(value)) == value
