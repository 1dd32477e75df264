"""
List what no recent run, alias, pin or active run keeps; with --yes delete it.

Leftovers of interrupted work and the quarantine are deleted too. Records of
runs are kept. It is safe while a run works.

Examples:
  idxflow gc
  idxflow gc --keep 10 --older-than 30d --yes
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count, flag
from idxflow.cli.output import put_json
from idxflow.server.history import trim_history
from idxflow.server.local import DAYS
from idxflow.views.console import open_console
from idxflow.views.store import print_cleanup
from schemas.errors import UsageError

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def gc(
    *,
    keep: Annotated[int, count(0, "Keep what the last N completed runs of each data set used. [5]")] = 5,
    older_than: Annotated[
        str | None, Parameter(help="Delete only what is older: 12h, 30d, 8w. [any age]", metavar="AGE")
    ] = None,
    history: Annotated[
        str,
        Parameter(
            show_default=False,
            metavar="AGE",
            help="Delete runs that ended longer ago from the dashboard, with their logs and pages. [90d]",
        ),
    ] = f"{DAYS}d",
    yes: Annotated[bool, flag("Delete; without it nothing is changed.")] = False,
    home: Home = None,
    json: Json = False,
) -> int:
    """List or delete what nothing keeps."""
    age = None if older_than is None else parse_age(older_than)
    shown = parse_age(history, "--history")
    archive = open_store(home)
    found = archive.clean_up(keep=keep, older_than=age, really=yes)
    trimmed = trim_history(archive.store.home, shown, really=yes)
    if json:
        put_json(found.model_dump(mode="json") | {"history": trimmed})
    else:
        print_cleanup(open_console(), found, trimmed)
    return DONE


def parse_age(text: str, option: str = "--older-than") -> timedelta:
    """
    Read an age: a whole number and h, d or w.

    Raises: UsageError: it is none; the message names `option`.
    """
    if not (match := re.fullmatch("([0-9]{1,5})([hdw])", text.strip())):
        expected = "a whole number of hours, days or weeks, as 12h, 30d or 8w"
        raise UsageError(option, expected=expected, found=repr(text), way_out="Nothing has changed.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})
