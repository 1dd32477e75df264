"""
List the pins, set or remove one.

What is pinned is never deleted by `idxflow gc`. Pinning it again replaces the note.

Examples:
  idxflow pin                  all of them
  idxflow pin latest           the newest completed run
  idxflow pin latest --note "the one of the paper"
  idxflow pin parse/b0c05
  idxflow pin 43be --remove
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from flows.run_record import RunRecord
from idxflow.api import open_store
from idxflow.cli.completing import runs_and_names
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, flag
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.store import print_pins
from schemas.errors import UsageError


def pin(
    word: Annotated[
        str | None,
        Parameter(
            completer=runs_and_names,
            help="A run, which is kept with all its artifacts, or a version: the first digits; an alias; latest.",
        ),
    ] = None,
    /,
    *,
    note: Annotated[str | None, Parameter(help="Why; the list shows it.")] = None,
    remove: Annotated[bool, flag("Remove the pin.")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """List the pins, set or remove one."""
    if (remove or note is not None) and not word:
        subject = "--remove" if remove else "--note"
        way_out = "`idxflow pin` lists the pins. Nothing has changed."
        raise UsageError(subject, expected="a run or a version to go with it", found="none", way_out=way_out)
    if remove and note is not None:
        raise UsageError("--remove", expected="no note", found="--note as well", way_out="Nothing has changed.")
    archive, console = open_store(home), open_console(json=json)
    names, now = archive.names, datetime.now(UTC)
    if word is None:
        pins = names.pins()
        put_json(pins) if json else print_pins(console, pins)
        return DONE
    if remove:
        changed = names.unpin(word)
    elif isinstance(found := archive.find(word, completed=True), RunRecord):
        changed = names.pin_run(found.id, note or "", now)
    else:
        changed = names.pin_artifact(found.ref.stage, found.ref.version, note or "", now)
    if json:
        put_json(changed)
    else:
        console.line(f"{changed.subject}: {'no longer pinned' if remove else 'pinned'}")
    return DONE
