"""
List the aliases, show one with its history, set or remove it.

An alias is a name for an artifact that every command takes in its place.
An artifact that has an alias is never deleted by `idxflow gc`. Each data set may
have its own: champion@mnist. `idxflow promote` asks first whether a model is better.

Examples:
  idxflow alias                    all of them
  idxflow alias champion latest    the model of the newest completed run
  idxflow alias champion@mnist f28b
  idxflow alias champion           what it stands for, and did before
  idxflow alias champion --remove
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from artifacts.archive.index import RunIndex
from idxflow.api import open_store
from idxflow.cli.completing import aliases, runs_and_names
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, flag
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.store import page_of, print_alias, print_aliases
from schemas.errors import UsageError


def alias(
    name: Annotated[
        str | None,
        Parameter(
            completer=aliases,
            help="The alias: up to 64 lower-case letters, digits and hyphens, a letter first; perhaps @ and a set.",
        ),
    ] = None,
    word: Annotated[
        str | None,
        Parameter(
            completer=runs_and_names,
            help="What it stands for from now on: a version, a run (its model), another alias, or latest.",
        ),
    ] = None,
    /,
    *,
    remove: Annotated[bool, flag("Remove the alias; its history is kept.")] = False,
    force: Annotated[bool, flag("Let an alias of one data set stand for something of another.")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List the aliases, show one, set or remove it."""
    if remove and (word or not name):
        found = f"{word!r} as well" if word else "none"
        raise UsageError("--remove", expected="an alias alone", found=found, way_out="Nothing has changed.")
    if word is not None and not word.strip():
        found, expected = "an empty text", "a run, a version or an alias"
        raise UsageError(f"alias {name}", expected=expected, found=found, way_out="Nothing has changed.")
    archive, console = open_store(home), open_console(json=json)
    store, names, now = archive.store, archive.names, datetime.now(UTC)
    if name and word:
        target = archive.artifact(word).manifest
        chosen = [names.set_alias(name, target.stage, target.version, now, force=force)]
    elif name:
        chosen = [names.remove_alias(name, now) if remove else names.alias(name)]
    else:
        chosen = names.aliases()
    with RunIndex(store) as index:
        pages = [page_of(each, store, index) for each in chosen]
    if json:
        put_json(pages[0] if name else pages)
    else:
        print_alias(console, pages[0]) if name else print_aliases(console, pages)
    return DONE
