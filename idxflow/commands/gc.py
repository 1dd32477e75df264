"""`idxflow gc`: what nothing holds any more, and taking it away."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from idxflow.archive import open_store
from idxflow.console import open_console
from idxflow.ending import DONE
from idxflow.options import Home, Json, count_from
from idxflow.printing import put_json
from idxflow.tables import table_lines
from schemas.counts import counted
from schemas.errors import UsageError
from schemas.words import amount

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
    yes: Annotated[
        bool, Parameter(negative="", show_default=False, help="Do it; without this it is only told.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> int:
    """List what no recent run, alias, pin or living run holds, and with --yes take it away."""
    age = None if older_than is None else parse_age(older_than)
    found = open_store(home).clean_up(keep=keep, older_than=age, really=yes)
    if json:
        put_json(found.model_dump_json(indent=2))
    else:
        _print(found)
    return DONE


def parse_age(text: str) -> timedelta:
    """
    Read an age: a whole number and h, d or w.

    Raises: UsageError: it is none.
    """
    if not (match := re.fullmatch("([0-9]{1,5})([hdw])", text.strip())):
        expected = "a whole number of hours, days or weeks, as 12h, 30d or 8w"
        raise UsageError("--older-than", expected=expected, found=repr(text), way_out="Nothing has changed.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _print(found: Cleanup) -> None:
    console = open_console()
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
