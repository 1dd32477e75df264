"""`idxflow gc`: what nothing holds any more, and taking it away."""

from __future__ import annotations

import re
from datetime import timedelta
from json import dumps
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count_from
from idxflow.cli.printing import put_json
from idxflow.comparing.history import History, trim_history
from idxflow.server.local import DAYS
from idxflow.views.console import Console, open_console
from idxflow.views.tables import table_lines
from schemas.errors import UsageError
from schemas.text import amount, counted

if TYPE_CHECKING:
    from artifacts.archive.collect import Cleanup

KEEP = 5
"""Completed runs of each data set that hold what they used, unless somebody says otherwise."""
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def gc(
    *,
    keep: Annotated[
        int,
        Parameter(
            converter=count_from(0),
            show_default=False,
            metavar="N",
            help="The last N completed runs of each data set hold all they used. [5]",
        ),
    ] = KEEP,
    older_than: Annotated[
        str | None, Parameter(help="Take only what is older: 12h, 30d, 8w. [any age]", metavar="AGE")
    ] = None,
    history: Annotated[
        str,
        Parameter(
            show_default=False,
            metavar="AGE",
            help="Runs that ended longer ago go from the dashboard, with their logs and pages. [90d]",
        ),
    ] = f"{DAYS}d",
    yes: Annotated[
        bool, Parameter(negative="", show_default=False, help="Do it; without this it is only told.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> int:
    """List what no recent run, alias, pin or living run holds, and with --yes take it away."""
    age = None if older_than is None else parse_age(older_than)
    shown = parse_age(history, "--history")
    archive = open_store(home)
    found = archive.clean_up(keep=keep, older_than=age, really=yes)
    trimmed = trim_history(archive.store.home, shown, really=yes)
    if json:
        told = found.model_dump(mode="json") | {"history": trimmed and trimmed.model_dump(mode="json")}
        put_json(dumps(told, indent=2))
    else:
        _print(found, trimmed)
    return DONE


def parse_age(text: str, option: str = "--older-than") -> timedelta:
    """
    Read an age: a whole number and h, d or w.

    Raises: UsageError: it is none, as is said of `option`.
    """
    if not (match := re.fullmatch("([0-9]{1,5})([hdw])", text.strip())):
        expected = "a whole number of hours, days or weeks, as 12h, 30d or 8w"
        raise UsageError(option, expected=expected, found=repr(text), way_out="Nothing has changed.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _print_history(console: Console, history: History) -> None:
    age = f"{history.older_than_days:g} days"
    if not history.asked:
        console.line(
            "The dashboard's history was not looked at: no server of this home folder runs. While one does, it forgets "
            f"runs after {DAYS} days by itself."
        )
    elif history.runs or history.done:
        runs = f"{counted(history.runs, 'run')} of the dashboard, ended more than {age} ago, with logs and pages"
        console.line(f"{runs}: {'gone' if history.done else 'can go; --yes takes them away'}.")


def _print(found: Cleanup, history: History | None) -> None:
    console = open_console()
    for link in found.links:
        console.warn(f"{link} is a link: nothing behind it was looked at. Delete the link.")
    _print_artifacts(console, found)
    if history:
        _print_history(console, history)


def _print_artifacts(console: Console, found: Cleanup) -> None:
    rows = [(each.kind, each.subject, amount(each.bytes, "bytes"), each.reason) for each in found.candidates]
    for line in table_lines(("what", "which", "size", "why"), rows, right={"size"}) if rows else ():
        console.line(line)
    went = f"{len(rows) - len(found.spared)} of them gone" if found.done else f"{len(rows)} can go"
    stay = "stays" if found.kept == 1 else "stay"
    stays = f"{counted(found.kept, 'artifact')}, {amount(found.kept_bytes, 'bytes')}, {stay}."
    if not rows:
        console.line(f"Nothing to take away; {stays}")
        return
    console.line(f"\n{went}, {amount(found.bytes, 'bytes')} in all; {stays}")
    for each in found.spared:
        console.line(f"{each.subject}: somebody uses it; it stays.")
    if not found.done:
        console.line("Nothing has changed. --yes takes it away.")
