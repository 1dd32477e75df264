"""A description whose images lie in another form than IDX files: a TOML file with a table [pack]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from schemas.addresses import below_home, refuse_windows_path
from schemas.catalog.mistakes import list_mistakes, mistakes
from schemas.catalog.reading import HOW, find_description, parse_description, read_description
from schemas.datasets import Checks
from schemas.errors import UsageError
from schemas.held_out import Way
from schemas.parameters import Parameters
from schemas.source import Choices, SplitName
from schemas.titles import Title


class _Pack(Choices):
    """What stands below [pack]: the place, seen from the description's folder, and what is said about it."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    tables: dict[SplitName, str] = Field(default_factory=dict, description="that list the pictures, by part")


class Described(Parameters):
    """A TOML file with a table [pack]."""

    title: Title
    source: Annotated[str, Field(max_length=10_000)] = ""
    checks: Checks = Checks()
    held_out: Way = "stratified"
    pack: _Pack

    @property
    def choices(self) -> dict[str, Any]:
        """What is said about the place, by the field of `Choices`."""
        return {name: getattr(self.pack, name) for name in self.pack.model_fields_set - {"path", "tables"}}


_NAMES = {name for part in (Described, _Pack, Checks) for name in part.model_fields}


def load_place(given: str) -> tuple[Path, Described] | None:
    """
    Read a description with a table [pack].

    Returns: the place, and the description; None of one without that table, or that does not read as TOML.
    Raises:  UsageError: it says something that is not known, or has to be otherwise; it says which field.
    """
    if not given.endswith(".toml"):
        return None
    path = find_description(given)
    try:
        content = read_description(path, given)
        # To parse a year of shards takes long.
        document = parse_description(content, given) if b"pack" in content else {}
    except (OSError, ValueError):  # `load_dataset` says what is wrong with it
        return None
    if "pack" not in document:
        return None
    try:
        described = Described.model_validate(document)
    except ValidationError as error:
        raise UsageError(
            given,
            expected="a TOML file that describes a data set",
            found=list_mistakes(mistakes(error, _NAMES, Described.model_fields)),
            way_out=HOW,
        ) from error
    refuse_windows_path("pack.path", described.pack.path)
    return path.parent / below_home(described.pack.path), described
