"""The space of a sweep: which values of the training configuration are tried, within which bounds."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from schemas.errors import UsageError
from schemas.parameters import Parameters
from schemas.training import Training

PREFIX = "training."
"""Before the name of a field, as in `--set`; it may be left out."""
LARGEST_CHOICE = 64
"""Values that a choice names at most."""
SYNTAX = "LOW..HIGH, log:LOW..HIGH, or VALUE|VALUE|..."
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"(?P<log>log:)?\s*(?P<low>{NUMBER})\s*\.\.\s*(?P<high>{NUMBER})")
FIXED = {
    "seed": "of a sweep all trials have the seed of the training; the winner gets more with --seeds",
    "profile": "the profile is what the trials differ from",
    "validation_fraction": "trials are compared on the same held-out rows",
    "memory": "it changes no result",
}
"""Fields that no sweep tries, and why."""


class Range(Parameters):
    """
    All numbers from `low` to `high`, both included.

    Args: log: they are drawn evenly by their logarithm.  whole: whole numbers only.
    """

    kind: Literal["range"] = "range"
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that have to be valid for all others to be."""
        return tuple(int(end) if self.whole else end for end in (self.low, self.high))

    def has(self, value: Any) -> bool:
        """Tell whether a value is one of these."""
        return not isinstance(value, tuple | str) and self.low <= value <= self.high

    @property
    def words(self) -> str:
        """As it is written in an option."""
        low, high = (repr(end).removesuffix(".0") for end in self.ends)
        return f"{'log:' if self.log else ''}{low}..{high}"


class Choice(Parameters):
    """Some values; those of `hidden` are lists of units."""

    kind: Literal["choice"] = "choice"
    values: tuple[Any, ...] = Field(min_length=1, max_length=LARGEST_CHOICE)

    @model_validator(mode="after")
    def _hashable(self) -> Choice:
        object.__setattr__(
            self, "values", tuple(tuple(each) if isinstance(each, list) else each for each in self.values)
        )
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that have to be valid."""
        return self.values

    def has(self, value: Any) -> bool:
        """Tell whether a value is one of these."""
        return value in self.values

    @property
    def words(self) -> str:
        """As it is written in an option."""
        return "|".join(json.dumps(each, separators=(",", ":")).strip('"') for each in self.values)


Domain = Range | Choice


def compact(value: Any) -> str:
    """Return a value as it is written in an option: `[50,50]`, `0.01234`, `relu`."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value, separators=(",", ":"))


class Space(Parameters):
    """What is tried, by the field of `schemas.training.Training`, in the order of the fields' names."""

    domains: dict[str, Domain] = Field(min_length=1)

    @property
    def words(self) -> dict[str, str]:
        """Each domain, as it is written in an option."""
        return {name: domain.words for name, domain in self.domains.items()}

    def has(self, training: Training) -> bool:
        """Tell whether a configuration lies in the space."""
        return all(domain.has(getattr(training, name)) for name, domain in self.domains.items())


def default_space(training: Training) -> dict[str, str]:
    """
    Return what is tried where nobody says: step size, momentum, decay and hidden units.

    The decay is the step size's where it falls by one, else that of the weights.
    """
    decay = {"decay": "log:1e-8..1e-3"} if training.schedule == "inverse_time" else {"weight_decay": "log:1e-4..1e-1"}
    steps = "log:1e-4..1e-2" if training.optimizer == "adamw" else "log:3e-4..1e-1"
    return {
        "learning_rate": steps,
        "momentum": "0.5..0.99",
        **decay,
        "hidden": "[25,25]|[50,50]|[100,50]|[100,100]",
    }


def read_space(given: Mapping[str, Any], training: Training) -> Space:
    """
    Read a space, and see that every configuration in it is one.

    Args:
        given:    by field, `training.` before it or not: text as in `--space`, or a list of values.
        training: what all trials share.
    Raises: UsageError: an unknown field, one that no sweep tries, a domain that does not read, a value that the
            configuration refuses.
    """
    domains: dict[str, Domain] = {}
    for written, domain in flat(given).items():
        name = _field(written)
        if name in domains:
            raise _wrong(name, "each field once", "it twice")
        domains[name] = _valid(name, _domain(name, domain), training)
    if not domains:
        raise _wrong("space", "one field at least", "none")
    if "patience" in domains and not training.validation_fraction:
        raise _wrong("space", "held-out rows", "validation_fraction 0")
    return Space(domains=dict(sorted(domains.items())))


def flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a space by the names of its fields as a person wrote them, those of a table `training` among them.

    Raises: UsageError: a field stands both in that table and beside it.
    """
    inner = given.get("training")
    if not isinstance(inner, Mapping):
        return dict(given)
    outer = {name: domain for name, domain in given.items() if name != "training"}
    if twice := {name.removeprefix(PREFIX) for name in outer} & inner.keys():
        raise _wrong(min(twice), "each field once", "it twice")
    return outer | dict(inner)


def configured(training: Training, values: Mapping[str, Any]) -> Training:
    """Return a configuration with some of its values changed. Raises: ValidationError."""
    return Training.model_validate({**training.model_dump(), **values})


def _field(written: str) -> str:
    name = written.strip().removeprefix(PREFIX)
    if name in FIXED:
        raise _wrong(written, "a value that differs between trials", f"{name}: {FIXED[name]}")
    if name not in Training.model_fields:
        near = difflib.get_close_matches(name, set(Training.model_fields) - FIXED.keys(), 1)
        said = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise _wrong(written, "a value of the training configuration", f"no such name{said}")
    return name


def _domain(name: str, given: Any) -> Domain:
    annotation = Training.model_fields[name].annotation
    if isinstance(given, list | tuple):
        return _choice(name, list(given))
    text = str(given).strip()
    if found := RANGE.fullmatch(text):
        low, high, log = float(found["low"]), float(found["high"]), bool(found["log"])
        if annotation not in (int, float):
            raise _wrong(name, "VALUE|VALUE|... (it is no number)", text)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise _wrong(name, "LOW below HIGH", text)
        if log and low <= 0:
            raise _wrong(name, "log:LOW..HIGH with LOW above 0", text)
        if (whole := annotation is int) and not (low.is_integer() and high.is_integer()):
            raise _wrong(name, "whole numbers", text)
        return Range(low=low, high=high, log=log, whole=whole)
    if ".." in text or text.startswith("log:") or not text:
        raise _wrong(name, SYNTAX, repr(text))
    return _choice(name, [_value(each.strip()) for each in text.split("|")])


def _choice(name: str, values: list[Any]) -> Choice:
    if not values or len(values) > LARGEST_CHOICE:
        raise _wrong(name, f"1 to {LARGEST_CHOICE} values", str(len(values)))
    return Choice(values=tuple(values))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _valid(name: str, domain: Domain, training: Training) -> Domain:
    """Return a domain whose values are as a configuration has them: of 64.0 the 64, of a list the tuple."""
    found = [_try(name, value, training) for value in domain.ends]
    if isinstance(domain, Range):
        return domain
    if len({json.dumps(each) for each in found}) < len(found):
        raise _wrong(name, "each value once", compact([*domain.values]))
    return Choice(values=tuple(found))


def _try(name: str, value: Any, training: Training) -> Any:
    number = Training.model_fields[name].annotation in (int, float) or name == "hidden"
    flat_values = value if isinstance(value, tuple) else (value,)
    if number and any(isinstance(each, bool) for each in flat_values):
        raise _wrong(name, "numbers", compact(value))
    try:
        return getattr(configured(training, {name: value}), name)
    except ValidationError as error:
        first = error.errors()[0]
        words = first["msg"].removeprefix("Value error, ")
        raise _wrong(name, f"values that a training takes ({words[:1].lower()}{words[1:]})", compact(value)) from error


def _wrong(subject: str, expected: str, found: str) -> UsageError:
    subject = subject if subject == "space" or subject.startswith(PREFIX) else f"{PREFIX}{subject}"
    return UsageError(f"--space {subject}", expected=expected, found=found, way_out="Nothing has run.")
