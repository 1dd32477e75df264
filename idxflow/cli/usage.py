"""Wrong settings and command lines, in a person's words: the place, what is allowed there, what was found."""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import App
from cyclopts.exceptions import (
    CoercionError,
    CombinedShortOptionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from pydantic import BaseModel, ValidationError

from idxflow.cli import meaning
from idxflow.cli.meaning import did_you_mean
from schemas.errors import UsageError

FILES = ("idxflow.toml", "pyproject.toml")
"""Settings files of the working folder, the stronger first."""
NOTHING_RAN = "Nothing has run."
STATED = frozenset({"", NOTHING_RAN, "Nothing has changed.", "Nothing was read."})
"""Ways out that are none: they only say what has not happened."""
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
        wanted = _schema_at(schema, path)
        expected, found = describe(wanted), repr(problem["input"])
        way_out = did_you_mean(str(problem["input"]), allowed) or meaning.of_number(problem["input"], _most(wanted))
    if more := {".".join(_names(other["loc"])) for other in others} - {".".join(path)}:
        way_out += f"Also wrong: {', '.join(sorted(more))}. "
    subject = _origin(path, flags, assigned)
    return UsageError(subject, expected=expected, found=found, way_out=way_out + NOTHING_RAN)


def refusal(error: CycloptsError, app: App) -> UsageError:
    """Return the error for a command line that cyclopts could not read. Args: app: the program."""
    chain = error.command_chain or ()
    subject = command = " ".join(("idxflow", *chain))
    words, hint = list(error.root_input_tokens or ()), ""
    match error:
        case UnknownCommandError(unused_tokens=[word, *_], app=group) if group:
            expected, found, hint = _no_command(word, words, group, app)
        case UnknownOptionError(token=token):
            word = token.keyword or token.value
            expected, found = "an option that it has", word
            value, options = _after(words, word), options_of(_at(app, chain))
            hint = meaning.of_option(word, value, options)
            if word in options.values():
                expected, found, hint = f"{word} without a value", f"{word}={value}", ""
        case MissingArgumentError(argument=argument, keyword=keyword) if argument:
            given = keyword or next((token.keyword for token in argument.tokens if token.keyword), None)
            expected, found = f"a value after {given}" if given else f"{argument.name} after it", "none"
        case CoercionError(argument=argument, token=token) if argument and token:
            subject = f"{command} {token.keyword or argument.name}"
            allowed = _literals(argument.hint)
            kind = "no value, or true or false" if argument.is_flag() else "a number"
            expected, found = f"one of {', '.join(allowed)}" if allowed else kind, repr(token.value)
            hint = meaning.did_you_mean(token.value, allowed)
            if not (allowed or argument.is_flag()):
                hint = meaning.of_number(token.value, 1)
        case RepeatArgumentError(token=token):
            expected, found = f"{token.keyword} once", "it several times"
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            expected, found = "no further word", repr(word)
            hint = meaning.of_word(word, options_of(_at(app, chain)), stages())
        case CombinedShortOptionError():
            found = next((word for word in words if re.fullmatch("-[^-].+", word)), "several letters")
            expected = "short options one by one"
        case _:
            expected, found = "what its help lists", " ".join(str(error).split()).rstrip(" .,?")
    return UsageError(subject, expected=expected, found=found, way_out=f"{hint}See `{command} --help`. {NOTHING_RAN}")


def _no_command(word: str, words: Sequence[str], group: App, app: App) -> tuple[str, str, str]:
    """Return what was expected where a command belongs, what was found, and what was meant."""
    names = [name for name in group if not name.startswith("-")]
    if not word.startswith("-"):
        others = () if group is app else list(app)
        return f"one of {', '.join(names)}", repr(word), meaning.of_command(word, names, others)
    of_run = meaning.of_option(word, _after(words, word), options_of(app["run"])) if group is app else ""
    return "a command before its options", word, of_run.replace("mean --", "mean idxflow run --")


def helped(error: UsageError, app: App, words: Sequence[str]) -> UsageError:
    """Return an error that only says what has not happened with the page of help that is about its command."""
    if error.way_out not in STATED:
        return error
    with suppress(CycloptsError):
        if chain := app.parse_commands(words)[0]:
            way_out = f"See `idxflow {' '.join(chain)} --help`. {error.way_out}"
            return UsageError(error.subject, expected=error.expected, found=error.found, way_out=way_out)
    return error


def options_of(command: App) -> dict[str, str]:
    """Return the options of a command: without their dashes, and as they are written."""
    names = [name for argument in command.assemble_argument_collection() for name in argument.names]
    return {name.lstrip("-"): name for name in (*names, "--help", "--version") if name.startswith("-")}


def stages() -> tuple[str, ...]:
    """Return the names of the stages, as the help of `--refresh` lists them: the graph is not imported for a word."""
    from idxflow.cli.options import STAGES

    return STAGES


def _at(app: App, chain: Sequence[str]) -> App:
    for name in chain:
        app = app[name]
    return app


def _after(words: Sequence[str], option: str) -> str | None:
    """Return what stands behind an option, or behind its `=`."""
    for word, following in zip_longest(words, words[1:]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word[len(option) + 1 :]
    return None


def _literals(hint: object) -> list[str]:
    """Return the words that a type of choices allows."""
    return [str(each) for each in get_args(hint)] if get_origin(hint) is Literal else []


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


def _most(schema: Mapping[str, Any]) -> float:
    """Return the highest number that a JSON schema allows."""
    levels = (schema, *schema.get("anyOf", ()))
    bounds = [each[name] for each in levels for name in ("maximum", "exclusiveMaximum") if name in each]
    return float(bounds[0]) if bounds else math.inf


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
        own = FLAGS.get(dotted, dotted).removeprefix("pack.").removeprefix("tune.")  # flags beside those of the run
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
