"""The one configuration of a training run, and the named profiles that it starts from."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from schemas.parameters import Parameters

ProfileName = Literal["tutorial"]


class Training(Parameters):
    """
    Architecture, optimizer and schedule of the multilayer perceptron.

    Fields that are not given take their value from `profile`. The tutorial's are the defaults: pixels
    scaled to [-1, 1], centred and divided by one global standard deviation; two hidden tanh layers of
    50 units; SGD with momentum; categorical cross-entropy; the last tenth of the train rows held out.
    """

    outside_key: ClassVar[frozenset[str]] = frozenset({"profile"})

    profile: ProfileName = Field(default="tutorial", description="the set of defaults")
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        default=(50, 50), max_length=16, description="units of each hidden layer"
    )
    activation: Literal["tanh", "relu", "sigmoid", "elu", "gelu"] = Field(
        default="tanh", description="activation of the hidden layers"
    )
    learning_rate: float = Field(default=0.001, gt=0, le=10, description="step size of the first update")
    decay: float = Field(
        default=1e-7, ge=0, le=1, description="at update t, from 0, the step size is learning_rate / (1 + decay * t)"
    )
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of the gradient descent")
    batch_size: int = Field(default=64, ge=1, le=65536, description="rows an update")
    epochs: int = Field(default=50, ge=1, le=10000, description="passes over the train rows")
    validation_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="share of the train rows, the last ones, held out for validation"
    )
    seed: int = Field(default=123, ge=0, le=2**31 - 1, description="seed of the kernels and of the shuffling")

    @model_validator(mode="before")
    @classmethod
    def _start_from_profile(cls, given: Any) -> Any:
        """Lay the given values over those of the profile; an unknown profile is left for the field to refuse."""
        if not isinstance(given, dict):
            return given
        name = given.get("profile", "tutorial")
        return {**(PROFILES.get(name, {}) if isinstance(name, str) else {}), **given}


PROFILES: dict[str, dict[str, Any]] = {"tutorial": {}}
"""What each profile says differently from the field defaults."""
