"""Which named profile a configuration is nearest to."""

from __future__ import annotations

from typing import Any

from schemas.training import PROFILES, Training


def nearest_profile(training: Training) -> tuple[str, dict[str, Any]]:
    """
    Find the profile that a configuration differs least from; the first of equals.

    The profile's name says nothing that the values do not, and is in no cache key: the page must not depend on it.

    Returns: the profile's name, and its values of the fields that differ.
    """
    fields = [name for name in Training.model_fields if name not in Training.outside_key]

    def usual(name: str) -> dict[str, Any]:
        profile = Training.model_validate({"profile": name})
        return {field: value for field in fields if getattr(training, field) != (value := getattr(profile, field))}

    return min(((name, usual(name)) for name in PROFILES), key=lambda found: len(found[1]))
