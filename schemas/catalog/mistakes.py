"""What is wrong with a description of a data set, in a person's words and under the names of its TOML file."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from schemas.datasets import TableSpec
from schemas.parameters import Wanted
from schemas.visible import in_a_line

WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a table",
    "dict_type": "a table",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number at least {ge}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number at most {le}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_long": "a text of at most {max_length} characters",
    "finite_number": "a number",
    "literal_error": "{expected}",
}
"""What each kind of pydantic's errors asks for; its own words, where a kind is not here."""
SHA256 = "64 hexadecimal digits in small letters"
OF_SPLITS = frozenset({"samples", "label_offset", "label_values", "label_column", "labels"})
"""Fields of a `TableSpec` that a split may say for itself."""
LONGEST = 80
Problem = Mapping[str, Any]
"""One of pydantic's errors: its type, place, message, context and input."""


def mistakes(error: OSError | ValueError, known: Collection[str], top: Collection[str]) -> list[str]:
    """
    Say what is wrong, one phrase per mistake, each once.

    Args:
        known: every name that a description may have, whatever its place.
        top:   those that stand above its tables.
    """
    if isinstance(error, OSError):
        return [str(error.strerror)]
    if not isinstance(error, ValidationError):
        # tomllib's words for what a Windows path in double quotes is.
        hint = "; a path is written with /" if "\\" in str(error) else ""
        return [f"{error}{hint}"]
    return list(
        dict.fromkeys(
            _phrase(problem, known, top) for problem in _causes([dict(each) for each in error.errors()], known)
        )
    )


def list_mistakes(found: Sequence[str]) -> str:
    """Return one mistake as it is, several in a line each."""
    if len(found) == 1:
        return found[0]
    return f"{len(found)} mistakes:\n  - " + ";\n  - ".join(found)


def _causes(problems: Sequence[Problem], known: Collection[str]) -> Iterator[Problem]:
    """Yield the problems without what only follows from another: a misspelt name is missing, a wrong item as well."""
    meant = {_meant(problem, known) for problem in problems if problem["type"] == "extra_forbidden"}
    lists = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
    for problem in problems:
        follows = {"missing": meant, "too_short": lists}.get(problem["type"], set())
        if problem["loc"] not in follows:
            yield problem


def _meant(problem: Problem, known: Collection[str]) -> tuple[int | str, ...]:
    """Return the place of the name that an unknown one was perhaps meant to be."""
    *above, last = problem["loc"]
    return (*above, *difflib.get_close_matches(str(last), known, n=1))


def _phrase(problem: Problem, known: Collection[str], top: Collection[str]) -> str:
    where = _place(problem["loc"])
    last = str(problem["loc"][-1]) if problem["loc"] else ""
    context: Mapping[str, Any] = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"no {where}"
        case "extra_forbidden":
            if last in top and last != where:
                return f"{where} (write {last} at the top, above the first [table])"
            close = difflib.get_close_matches(last, known, n=1)
            return f"the unknown name {where}" + (f" (did you mean {close[0]}?)" if close else "")
        case "value_error" if isinstance(context["error"], Wanted):
            belongs = context["error"].wanted
        case "string_pattern_mismatch" if last == "sha256":
            belongs = SHA256
        case kind:
            belongs = WANTED[kind].format_map(context) if kind in WANTED else problem["msg"]
    given = getattr(context.get("error"), "shown", "") or repr(problem["input"])
    shown = f"{len(problem['input'])} of them" if problem["type"] in {"too_short", "too_long"} else given
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."
    return f"{f'{where}: ' if where else ''}{shown}, where {belongs} belongs"


def _place(location: tuple[int | str, ...]) -> str:
    """Return the dotted name of a place; what both splits have stands at the top, and is wrong there."""
    place = [part for part in location if part not in {"splits", "spec"}]
    shared = not place[1:] or (place[1] in TableSpec.model_fields and place[1] not in OF_SPLITS)
    if location[:1] == ("splits",) and shared:
        place = place[1:]
    # A list counts from 1, as people do; of a table of tables the TOML file itself shows no number.
    return ".".join(f"{part + 1}" if isinstance(part, int) else in_a_line(part) for part in place)
