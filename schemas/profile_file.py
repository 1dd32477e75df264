"""A configuration in a file: the table `[training]` of a TOML, as `idxflow tune` writes its winner's."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.errors import UsageError
from schemas.training import Training

SUFFIX = ".toml"
LARGEST = 2**20
"""Bytes of such a file at most."""


def is_profile_file(profile: object) -> bool:
    """Tell whether what was given for a profile is a file's path."""
    return isinstance(profile, str | Path) and str(profile).endswith(SUFFIX)


def read_profile(path: str | Path) -> dict[str, Any]:
    """
    Return the values of a file's `[training]`, among them `profile`, the one that they differ from.

    Raises: UsageError: there is no such file, it is no TOML, or holds something else or a wrong value.
    """
    subject, way_out = f"profile {path}", "Nothing has run."
    try:
        content = Path(path).expanduser().read_bytes()
        if len(content) > LARGEST:
            raise UsageError(subject, expected="a small TOML", found=f"{len(content)} bytes", way_out=way_out)
        found = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(subject, expected="TOML", found=str(error), way_out=way_out) from error
    except OSError as error:
        expected, said = "a TOML with a table [training]", error.strerror or type(error).__name__
        raise UsageError(subject, expected=expected, found=said, way_out=way_out) from error
    values = found.get("training")
    if not isinstance(values, dict) or found.keys() != {"training"}:
        names = ", ".join(found) or "nothing"
        raise UsageError(subject, expected="one table, [training]", found=names, way_out=way_out)
    try:
        Training.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(each) for each in ("training", *first["loc"]))
        raise UsageError(
            f"{subject}, {name}", expected=first["msg"], found=repr(first["input"]), way_out=way_out
        ) from error
    return {"profile": "tutorial", **values}
