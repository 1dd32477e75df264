"""Wrong settings and command lines, in a person's words: the place, what is allowed there, what was found."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from pydantic import BaseModel, ValidationError

from schemas.errors import UsageError

FILES = ("idxflow.toml", "pyproject.toml")
"""Settings files of the working folder, the stronger first."""
NOTHING_RAN = "Nothing has run."
FLAGS = {"workers.count": "workers", "workers.runner": "runner", "workers.cluster": "cluster"}
"""Options that are called otherwise than their settings."""


def explain(
    error: ValidationError, model: type[BaseModel], flags: Mapping[str, Any], assigned: Mapping[str, Any]
) -> UsageError:
    """
    Return the error for pydantic's first finding, with the names of the others.

    Args:
        model:    what was validated.
        flags:    options of the command line, by field.
        assigned: what `--set` gave, nested.
    """
    problem, *others = error.errors()
    path = _names(problem["loc"])
    schema = model.model_json_schema()
    way_out = ""
    if problem["type"] == "extra_forbidden":
        # The training configuration's profile is set one level up.
        allowed = [name for name in _schema_at(schema, path[:-1])["properties"] if name != "profile" or len(path) == 1]
        expected, found = f"one of {', '.join(sorted(allowed))}", f"the name {path[-1]}"
        # A name of one level below is suggested in full: training.epochs for `epochs`.
        below = {} if path[:-1] else {name.rpartition(".")[2]: name for name in _dotted(model) if "." in name}
        way_out = did_you_mean(path[-1], allowed) or did_you_mean(path[-1], below, below)
    else:
        allowed = _values(_schema_at(schema, path))
        expected, found = describe(_schema_at(schema, path)), repr(problem["input"])
        way_out = did_you_mean(str(problem["input"]), allowed)
    if more := {".".join(_names(other["loc"])) for other in others} - {".".join(path)}:
        way_out += f"Also wrong: {', '.join(sorted(more))}. "
    subject = _origin(path, flags, assigned)
    return UsageError(subject, expected=expected, found=found, way_out=way_out + NOTHING_RAN)


def refusal(error: CycloptsError) -> UsageError:
    """Return the error for a command line that cyclopts could not read."""
    command = " ".join(("idxflow", *(error.command_chain or ())))
    subject, hint = command, ""
    match error:
        case UnknownCommandError(unused_tokens=[word, *_], app=app) if app:
            names = [name for name in app if not name.startswith("-")]
            expected, found, hint = f"one of {', '.join(names)}", repr(word), did_you_mean(word, names)
        case UnknownOptionError(token=token, argument_collection=arguments):
            word = token.keyword or token.value
            # All have dashes in common: they do not count.
            options = {name.lstrip("-"): name for argument in arguments for name in argument.names}
            expected, found = "an option that it has", word
            hint = did_you_mean(word.lstrip("-"), options, options)
        case MissingArgumentError(argument=argument, keyword=keyword) if argument:
            given = keyword or next((token.keyword for token in argument.tokens if token.keyword), None)
            expected, found = f"a value after {given}" if given else f"{argument.name} after it", "none"
        case CoercionError(argument=argument, token=token) if argument and token:
            subject = f"{command} {token.keyword or argument.name}"
            expected, found = "no value, or true or false" if argument.is_flag() else "a number", repr(token.value)
        case RepeatArgumentError(token=token):
            expected, found = f"{token.keyword} once", "it several times"
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            expected, found = "no further word", repr(word)
        case _:
            expected, found = "what its help lists", " ".join(str(error).split()).rstrip(" .,?")
    return UsageError(subject, expected=expected, found=found, way_out=f"{hint}See `{command} --help`. {NOTHING_RAN}")


def did_you_mean(word: str, allowed: Iterable[str], written: Mapping[str, str] = MappingProxyType({})) -> str:
    """
    Return `Did you mean ...?` with the nearest allowed word; nothing where none is near.

    Args: written: how a word is written, where that is not the word itself.
    """
    close = difflib.get_close_matches(word, allowed, n=1)
    return f"Did you mean {written.get(close[0], close[0])}? " if close else ""


def describe(schema: Mapping[str, Any]) -> str:
    """Describe the values that a JSON schema allows."""
    match schema:
        case {"enum": allowed}:
            words = f"one of {', '.join(map(str, allowed))}"
        case {"examples": examples}:
            words = f"a value as {' or '.join(map(str, examples))}"
        case {"anyOf": [first, *_]}:
            words = describe(first)
        case {"type": "array", "items": items}:
            most = f"at most {schema['maxItems']}" if "maxItems" in schema else "any number"
            words = f"a list ({most}), each {describe(items)}"
        case {"type": "integer" | "number" as kind}:
            names = {
                "minimum": "at least",
                "exclusiveMinimum": "above",
                "maximum": "at most",
                "exclusiveMaximum": "below",
            }
            bounds = " and ".join(f"{name} {schema[key]}" for key, name in names.items() if key in schema)
            words = f"{'a whole number' if kind == 'integer' else 'a number'} {bounds}".strip()
        case {"type": "boolean"}:
            words = "true or false"
        case {"properties": names}:
            words = f"a table with {', '.join(sorted(names))}"
        case _:
            words = "a text"
    return words


def refuse_misspelt_variables(model: type[BaseModel]) -> None:
    """
    Refuse environment variables that were meant for idxflow and would be ignored.

    Only near misses count: other programs may have an IDXFLOW_ variable of their own.

    Raises: UsageError: it names the variable that was probably meant.
    """
    dotted = tuple(_dotted(model))
    known = {_variable(name) for name in dotted}
    # A name without its level counts only if it is exact: most are short.
    bare = {_variable(name.rpartition(".")[2]): _variable(name) for name in dotted}
    for variable in sorted(os.environ):
        name = variable.upper()
        # What is below a known name is validated as any other value.
        if not name.startswith("IDXFLOW_") or name in known or name.partition("__")[0] in known:
            continue
        if close := [bare[name]] if name in bare else difflib.get_close_matches(name, known, n=1, cutoff=0.85):
            raise UsageError(variable, expected=close[0], found="a name that nothing reads", way_out=NOTHING_RAN)


def _dotted(model: type[BaseModel]) -> Iterable[str]:
    """Yield the dotted name of every setting. (A JSON schema would import the graph for the names of its stages.)"""
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{below}" for below in field.annotation.model_fields)


def _variable(dotted: str) -> str:
    return f"IDXFLOW_{dotted.replace('.', '__').upper()}"


def _values(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that a JSON schema lists, of a list's parts where it is one."""
    return [str(value) for value in schema.get("items", schema).get("enum", ())]


def _names(location: Iterable[int | str]) -> tuple[str, ...]:
    """Drop positions in lists from a location."""
    return tuple(part for part in location if isinstance(part, str))


def _schema_at(schema: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    """Follow `path` into a JSON schema, through its references."""
    level: Mapping[str, Any] = schema
    for name in path:
        level = level["properties"][name]
        if "$ref" in level:
            level = schema["$defs"][level["$ref"].rpartition("/")[2]]
    return level


def _origin(path: tuple[str, ...], flags: Mapping[str, Any], assigned: Mapping[str, Any]) -> str:
    """Return where a value comes from: the strongest source that has it."""
    dotted = ".".join(path)
    if path[0] in flags:
        own = FLAGS.get(dotted, dotted).removeprefix("pack.")  # its flags stand beside those of the run
        return f"--{own.replace('_', '-')}"
    if _holds(assigned, path):
        return f"--set {dotted}"
    variables = {f"IDXFLOW_{'__'.join(path[:depth])}".upper() for depth in range(1, len(path) + 1)}
    if found := [name for name, value in os.environ.items() if name.upper() in variables and value]:
        return max(found, key=len)
    for file in FILES:
        document = tomllib.loads(Path(file).read_text("utf-8")) if Path(file).is_file() else {}
        if _holds(document if file == FILES[0] else document.get("tool", {}).get("idxflow", {}), path):
            return f"{file}: {dotted}"
    return dotted


def _holds(values: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True
