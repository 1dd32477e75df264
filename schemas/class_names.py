"""The names of classes, in the order of their labels."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.file_name import printable
from schemas.parameters import Wanted

LONGEST_CLASS = 200
"""Characters of a class's name."""


def _as_text(given: object) -> object:
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _check_class(name: str) -> str:
    if not name.strip() or not printable(name):
        raise Wanted("a name in one line" if name.strip() else "a name")
    if len(name) > LONGEST_CLASS:
        raise Wanted(f"a name of at most {LONGEST_CLASS} characters")
    return name


def _check_distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    first: dict[str, int] = {}
    for at, name in enumerate(names, 1):
        if (before := first.setdefault(name.strip(), at)) != at:
            raise Wanted("each name once", f"{name.strip()!r} as {before} and as {at}")
    return names


ClassName = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_class)]
Classes = Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=65536), AfterValidator(_check_distinct)]
"""Names that differ by more than the spaces around them. A whole number is taken as its text."""
