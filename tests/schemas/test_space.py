"""The space of a sweep: how it is written, and what is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import UsageError
from schemas.space import Choice, Range, configured, default_space, read_space
from schemas.training import PROFILES, Training

OWN = Training()


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ({"learning_rate": "log:1e-4..1e-1"}, Range(low=1e-4, high=0.1, log=True)),
        ({"training.momentum": " 0.5 .. 0.99 "}, Range(low=0.5, high=0.99)),
        ({"batch_size": "log:16..256"}, Range(low=16, high=256, log=True, whole=True)),
        ({"hidden": "[50,50]|[100]"}, Choice(values=((50, 50), (100,)))),
        ({"hidden": [[50, 50], [100]]}, Choice(values=((50, 50), (100,)))),
        ({"activation": "relu|tanh"}, Choice(values=("relu", "tanh"))),
        ({"calibrate": "true|false"}, Choice(values=(True, False))),
        ({"dropout": "0|0.2"}, Choice(values=(0.0, 0.2))),
        ({"batch_size": [64.0, 128]}, Choice(values=(64, 128))),
        ({"training": {"momentum": "0..0.9"}}, Range(low=0.0, high=0.9)),
    ],
)
def test_domain_is_read_as_written(written: dict[str, Any], domain: Range | Choice) -> None:
    """A range, a range by its logarithm, whole numbers and choices are told apart, in options as in a TOML."""
    assert tuple(read_space(written, OWN).domains.values()) == (domain,)


def test_order_of_fields_does_not_count() -> None:
    """Two spaces that differ in the order of their options alone are one space."""
    one = read_space({"momentum": "0..0.9", "learning_rate": "0.1..1"}, OWN)
    assert one.model_dump_json() == read_space({"learning_rate": "0.1..1", "momentum": "0..0.9"}, OWN).model_dump_json()


@pytest.mark.parametrize("profile", list(PROFILES))
def test_default_space_is_valid_for_each_profile(profile: str) -> None:
    """Where nobody says what to try it is step size, momentum, a decay that the schedule uses, and hidden units."""
    training = Training.model_validate({"profile": profile})
    names = set(read_space(default_space(training), training).domains)
    decay = "decay" if training.schedule == "inverse_time" else "weight_decay"
    assert names == {"learning_rate", "momentum", decay, "hidden"}


@given(low=st.floats(1e-9, 4), high=st.floats(5, 10), log=st.booleans(), rows=st.integers(1, 65535))
def test_written_words_read_again(low: float, high: float, log: bool, rows: int) -> None:
    """What a space says of itself is how it is written, every digit of it."""
    written = {
        **default_space(OWN),
        "learning_rate": f"{'log:' if log else ''}{low!r}..{high!r}",
        "shuffle_window": f"{rows}..{rows + 1_234_567}",
        "dropout": (0, 0.1, low / 10),
    }
    space = read_space(written, OWN)
    assert read_space(space.words, OWN) == space


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"learning_rat": "1..2"}, "did you mean training.learning_rate?"),
        ({"training.seed": "1|2"}, "--seeds"),
        ({"validation_fraction": "0.1..0.2"}, "same held-out rows"),
        ({"learning_rate": "0..0.1"}, "greater than 0"),
        ({"learning_rate": "0.1..20"}, "less than or equal to 10"),
        ({"learning_rate": "0.1..0.1"}, "LOW below HIGH"),
        ({"learning_rate": "0.2..0.1"}, "LOW below HIGH"),
        ({"momentum": "log:0..0.9"}, "LOW above 0"),
        ({"epochs": "1.5..3"}, "whole numbers"),
        ({"hidden": "10..20"}, "VALUE|VALUE"),
        ({"activation": "relu|foo"}, "'tanh', 'relu'"),
        ({"activation": "relu|relu"}, "each value once"),
        ({"dropout": "0|0.0"}, "each value once"),
        ({"hidden": "[50]|[50.0]"}, "each value once"),
        ({"batch_size": [True, 64]}, "numbers"),
        ({"momentum": "0..0.5", "training": {"momentum": "0..0.9"}}, "each field once"),
        ({"learning_rate": "log:0.1"}, "LOW..HIGH"),
        ({"learning_rate": ""}, "LOW..HIGH"),
        ({"hidden": []}, "1 to 64 values"),
        ({"learning_rate": "0.1..1", "training.learning_rate": "0.1..1"}, "each field once"),
        ({}, "one field at least"),
    ],
)
def test_wrong_space_is_refused(written: dict[str, Any], words: str) -> None:
    """What is no space is refused with its field, what belongs there and what was found."""
    with pytest.raises(UsageError, match="Nothing has run") as caught:
        read_space(written, OWN)
    assert words in str(caught.value)


def test_space_has_what_lies_in_it() -> None:
    """The own configuration is tried first where it lies in the space, ends included, and only there."""
    space = read_space({"learning_rate": "0.001..0.1", "hidden": "[50,50]|[100]"}, OWN)
    assert space.has(OWN)
    assert not space.has(configured(OWN, {"learning_rate": 0.2}))
    assert not space.has(configured(OWN, {"hidden": (51,)}))
