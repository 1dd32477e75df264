"""What the dashboard's form, and whoever starts a deployment, is told of the flow's parameters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError

from flows.pipeline import pipeline
from schemas.catalog import dataset_names
from schemas.source import Choices
from schemas.training import PROFILES, Training


def properties() -> dict[str, Any]:
    """The parameters as the form sees them."""
    return pipeline.parameters.properties


def fields() -> dict[str, Any]:
    """The configuration's fields as the form sees them."""
    found: dict[str, Any] = (pipeline.parameters.definitions or {})["Training"]["properties"]
    return found


def test_each_parameter_is_described() -> None:
    """Every parameter has a default and says what it means, and so does every field of the configuration."""
    assert set(fields()) == set(Training.model_fields)
    for name, field in {**properties(), **fields()}.items():
        assert field["description"], name
    assert all("default" in field for field in properties().values())
    assert not pipeline.parameters.required


def test_the_profile_decides_what_the_form_leaves_empty() -> None:
    """What the form sends untouched, with any profile chosen, is that profile; its help tells what they differ in."""
    decided = {name for values in PROFILES.values() for name in values}
    assert {name for name, field in fields().items() if "default" not in field} == decided
    sent = properties()["training"]["default"]
    assert Training.model_validate(sent) == Training()
    assert Training.model_validate({**sent, "profile": "tuned"}) == Training(profile="tuned")
    assert (
        fields()["epochs"]["description"] == f"{Training.model_fields['epochs'].description} (tutorial: 50, tuned: 20)"
    )
    assert fields()["hidden"]["description"].endswith(" (tutorial: [50, 50], tuned: [800, 400])")
    kept = {name: field["default"] for name, field in fields().items() if "default" in field}
    assert Training.model_validate(kept | {"profile": "tuned"}) == Training(profile="tuned")


def test_a_form_that_is_left_alone_says_nothing_of_a_place() -> None:
    """Each field below `pack` is sent with its default, or empty: so a set of the catalog can be run from the form."""
    places: dict[str, Any] = (pipeline.parameters.definitions or {})["Choices"]["properties"]
    sent = {name: field.get("default") for name, field in places.items()}
    assert Choices.model_validate(sent).said == ()
    assert Choices.model_validate(sent | {"size": [8, 8], "fit": "pad"}).said == ("size", "fit")


def test_bounds_are_in_the_form() -> None:
    """What the flow would refuse is refused by the form: accuracy outside of 0 to 1, an unknown stage or data set."""
    number = properties()["alert_below"]["anyOf"][0]
    assert (number["minimum"], number["maximum"]) == (0, 1)
    assert "train" in properties()["refresh"]["items"]["enum"]
    pattern = properties()["dataset"]["anyOf"][0]["pattern"]
    assert all(
        re.search(pattern, name)
        for name in (*dataset_names(), "own.toml", "/srv/data/own.toml", "/srv/photos", "./photos")
    )
    assert not any(re.search(pattern, name) for name in ("mnits", "", "mnist2", ".toml"))
    pattern = properties()["promote"]["anyOf"][0]["pattern"]
    assert all(re.search(pattern, word) for word in ("champion", "champion@mnist", "best-2@leaves-3fa2b1c4"))
    assert not any(re.search(pattern, word) for word in ("", "Champion", "champion@", "@mnist", "a b", "../x"))
    for wrong in ({"alert_below": 1.5}, {"refresh": ["nothing"]}, {"training": {"epochs": 0}}, {"dataset": "mnits"}):
        with pytest.raises(ParameterTypeError):
            pipeline.validate_parameters(wrong)
