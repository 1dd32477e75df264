"""What the dashboard's form, and whoever starts a deployment, is told of the flow's parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError
from pydantic import ValidationError

from flows.job import Job
from flows.pipeline import pipeline
from flows.scoring import scoring
from flows.tuning import tuning
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
    assert {name for name, field in fields().items() if field.get("default", "") in ("", None)} - {"memory"} == decided
    sent = properties()["training"]["default"]
    assert Training.model_validate(sent) == Training()
    assert Training.model_validate({**sent, "profile": "tuned"}) == Training(profile="tuned")
    assert (
        fields()["epochs"]["description"] == f"{Training.model_fields['epochs'].description} (tutorial: 50, tuned: 20)"
    )
    assert fields()["hidden"]["description"].endswith(" (tutorial: [50, 50], tuned: [800, 400])")
    kept = {name: field["default"] for name, field in fields().items() if "default" in field}
    assert Job.model_validate({"training": kept | {"profile": "tuned"}}).training == Training(profile="tuned")


def switches(schema: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema that the form draws as a switch, which is true or false and never empty."""
    if isinstance(schema, dict):
        if schema.get("type") == "boolean":
            yield where, schema
        for name, part in schema.items():
            if name != "anyOf":  # one of several: the form asks first which
                yield from switches(part, f"{where}/{name}")


@pytest.mark.parametrize("flow", [pipeline, scoring, tuning], ids=lambda flow: flow.name)
def test_no_switch_says_what_nobody_said(flow: Flow[Any, Any]) -> None:
    """A switch that is left alone is sent as its default, and as false where it has none: so each has one."""
    schema = flow.parameters.model_dump()
    found = dict(switches(schema))
    assert found
    assert [where for where, part in found.items() if not isinstance(part.get("default"), bool)] == []


def test_a_null_leaves_a_field_to_the_profile() -> None:
    """What the form sends for a switch that was not touched is as the profile has it; true and false stay."""
    decided = {name for values in PROFILES.values() for name in values}
    for profile in ("tutorial", "tuned"):
        sent = {"profile": profile, "calibrate": None}
        assert Job.model_validate({"training": sent}).training == Training(profile=profile)
        assert pipeline.validate_parameters({"training": sent})["training"] == Training(profile=profile)
        for said in (False, True):
            assert Job.model_validate({"training": sent | {"calibrate": said}}).training.calibrate is said
        assert Job.model_validate({"training": sent | dict.fromkeys(decided)}).training == Training(profile=profile)
    with pytest.raises(ValidationError, match="seed"):
        Job.model_validate({"training": {"seed": None}})


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
