"""What a configuration has otherwise than its profile: what tells a run from others of its data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.training import PROFILES, Training

SEED = "seed"


def usual(profile: str) -> dict[str, Any]:
    """Return the configuration of a profile; none of one that only another version of idxflow knows."""
    return Training.model_validate({"profile": profile}).model_dump(mode="json") if profile in PROFILES else {}


def differing(training: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the values of a configuration that its profile has otherwise, the seed last.

    Args: training: as a record has it. Where it runs, and where its values came from, is no part of it.
    """
    own = usual(str(training.get("profile", "")))
    given = {name: value for name, value in training.items() if name not in Training.outside_key}
    found = {name: value for name, value in given.items() if own and own.get(name) != value}
    seed = {SEED: found.pop(SEED)} if SEED in found else {}
    return found | seed


def in_words(values: Mapping[str, Any]) -> str:
    """Return values as `--set` takes them: `hidden=[100,50] epochs=10`."""
    return " ".join(f"{name}={as_assigned(value)}" for name, value in values.items())


def as_assigned(value: Any) -> str:
    """Return a value as `--set` takes it."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(as_assigned, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
