"""What a run is asked for from Python: arguments, checked and brought into a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from pydantic import ValidationError

from schemas.catalog import is_place, load_dataset
from schemas.catalog.places import load_place
from schemas.errors import UsageError
from schemas.profile_file import is_profile_file, read_profile
from schemas.training import ProfileName, Training

if TYPE_CHECKING:
    from flows.job import Job

NOTHING = "Nothing has run."


class TrainingValues(TypedDict, total=False):
    """
    Values of the configuration by name; `schemas.training.Training` describes them. The others are the profile's.

    A profile may be the path of a TOML with a table [training], as `idxflow tune` writes one.
    """

    profile: ProfileName | str
    hidden: tuple[int, ...] | list[int]
    activation: Literal["tanh", "relu", "sigmoid", "elu", "gelu"]
    dropout: float
    optimizer: Literal["sgd", "adamw"]
    learning_rate: float
    schedule: Literal["inverse_time", "cosine"]
    decay: float
    warmup: float
    momentum: float
    weight_decay: float
    label_smoothing: float
    shift: int
    calibrate: bool
    batch_size: int
    epochs: int
    patience: int
    shuffle_window: int
    validation_fraction: float
    memory: int | str | None
    seed: int


def ask(
    dataset: str | Path | None, training: Training | None, values: TrainingValues, refresh: tuple[str, ...], **more: Any
) -> Job:
    """
    Return the job that arguments ask for.

    Args:
        dataset:  whether there is one of that name is not looked at; see `check_dataset`.
        training: a whole configuration; None: the profile and the values that `values` names.
        more:     further fields of `flows.job.Job`.
    Raises: UsageError: both `training` and values; a wrong name or value; a stage that there is not.
    """
    from flows.dag import GRAPH
    from flows.job import Job
    from idxflow.cli.usage import explain

    if training is not None and values:
        found = f"training and {', '.join(values)}"
        raise UsageError("training", expected="a Training, or its values by name", found=found, way_out=NOTHING)
    if unknown := [name for name in refresh if name not in GRAPH]:
        expected = f"stages: {', '.join(GRAPH)}"
        raise UsageError("refresh", expected=expected, found=", ".join(map(repr, unknown)), way_out=NOTHING)
    given: dict[str, Any] = dict(values)
    if is_profile_file(given.get("profile")):
        given = {**read_profile(given.pop("profile")), **given}
    try:
        job = Job(training=training or given, refresh=refresh, **more)
    except ValidationError as error:
        first = error.errors()[0]
        names = [name for name in first["loc"] if isinstance(name, str)]
        subject = names[-1] if names[0] == "training" else ".".join(names)
        if first["type"] == "value_error":
            words = first["msg"].removeprefix("Value error, ")
            raise UsageError(subject, expected="what a run takes", found=words, way_out=NOTHING) from error
        told = explain(error, Job, {}, {})
        raise UsageError(subject, expected=told.expected, found=told.found, way_out=told.way_out) from error
    return job.model_copy(update={"dataset": None if dataset is None else os.fspath(dataset)})


def check_dataset(job: Job) -> None:
    """Look whether there is a data set of the job's name. Raises: UsageError: there is none."""
    if job.dataset is not None and not (is_place(job.dataset) or load_place(job.dataset)):
        load_dataset(job.dataset, job.mirrors)
