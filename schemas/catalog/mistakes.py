"""What is wrong with a description of a data set, in a person's words and under the names of its TOML file."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from schemas.datasets import TableSpec

WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "tuple_type": "a list",
    "model_type": "a table",
    "dict_type": "a table",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number at least {ge}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number at most {le}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "literal_error": "{expected}",
}
"""What each kind of pydantic's errors asks for; its own words, where a kind is not here."""
PATTERNS = {
    "sha256": "64 hexadecimal digits in small letters",
    "name": "letters, digits, dots, dashes and underscores, a letter or digit first",
}
NAME = "lower-case letters, digits and dashes as the file's name, before .toml"


def mistakes(error: OSError | ValueError, known: Collection[str]) -> list[str]:
    """
    Say what is wrong, a phrase a mistake, each once.

    Args: known: every name that a description may have, whatever its place.
    """
    if isinstance(error, OSError):
        return [str(error.strerror)]
    if not isinstance(error, ValidationError):
        return [str(error)]
    return list(dict.fromkeys(_phrase(problem, known) for problem in error.errors()))


def _phrase(problem: Mapping[str, Any], known: Collection[str]) -> str:
    place = [part for part in problem["loc"] if part not in {"splits", "spec"}]
    if len(place) > 1 and place[1] in TableSpec.model_fields and place[1] != "samples":
        place = place[1:]  # what both splits have stands at the top, and is wrong there
    # A list counts from 1, as people do; of a table of tables the TOML file itself shows no number.
    *above, last = [f"{part + 1}" if isinstance(part, int) else str(part) for part in place]
    where = ".".join([*above, last])
    match problem["type"]:
        case "missing":
            return f"no {where}"
        case "extra_forbidden":
            close = difflib.get_close_matches(last, known, n=1)
            return f"the unknown name {where}" + (f" (did you mean {close[0]}?)" if close else "")
        case "string_pattern_mismatch":
            wanted = PATTERNS.get(last, NAME) if above else NAME
        case kind:
            wanted = WANTED.get(kind, problem["msg"]).format_map(problem.get("ctx", {}))
    given = problem["input"]
    shown = f"{len(given)} of them" if problem["type"] in {"too_short", "too_long"} else repr(given)
    return f"{where}: {shown}, where {wanted} belongs"
