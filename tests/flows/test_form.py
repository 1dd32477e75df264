"""What the dashboard's form, and whoever starts a deployment, is told of the flow's parameters."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError

from flows.pipeline import pipeline
from schemas.training import Training


def properties() -> dict[str, Any]:
    """The parameters as the form sees them."""
    return pipeline.parameters.properties


def test_each_parameter_is_described() -> None:
    """Every parameter, and every field of the configuration, has a default and says what it means."""
    training = (pipeline.parameters.definitions or {})["Training"]["properties"]
    assert set(training) == set(Training.model_fields)
    for name, field in {**properties(), **training}.items():
        assert "default" in field, name
        assert field["description"], name
    assert not pipeline.parameters.required


def test_bounds_are_in_the_form() -> None:
    """A value that the flow would refuse is refused by the form: accuracy outside of 0 to 1, an unknown stage."""
    number = properties()["alert_below"]["anyOf"][0]
    assert (number["minimum"], number["maximum"]) == (0, 1)
    assert "train" in properties()["refresh"]["items"]["enum"]
    for wrong in ({"alert_below": 1.5}, {"refresh": ["nothing"]}, {"training": {"epochs": 0}}):
        with pytest.raises(ParameterTypeError):
            pipeline.validate_parameters(wrong)
