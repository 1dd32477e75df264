"""`idxflow pin`: what a clean-up leaves alone, name or no name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from pydantic import TypeAdapter
from rich.text import Text

from artifacts.archive.name_records import Pin
from flows.run_record import RunRecord
from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json
from idxflow.cli.printing import put_json
from idxflow.views.console import Console, open_console
from idxflow.views.tables import table_lines
from idxflow.views.times import local_time
from schemas.errors import UsageError


def pin(
    word: Annotated[
        str | None,
        Parameter(
            help="A run, which is kept with all its artifacts, or a version: their first digits; an alias; latest."
        ),
    ] = None,
    /,
    *,
    note: Annotated[str | None, Parameter(help="Why; it is listed with the pin.")] = None,
    remove: Annotated[bool, Parameter(negative="", show_default=False, help="Keep it no longer.")] = False,
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
        if json:
            put_json(TypeAdapter(list[Pin]).dump_json(pins, indent=2).decode())
        else:
            print_pins(console, pins)
        return DONE
    if remove:
        changed = names.unpin(word)
    elif isinstance(found := archive.find(word, completed=True), RunRecord):
        changed = names.pin_run(found.id, note or "", now)
    else:
        changed = names.pin_artifact(found.ref.stage, found.ref.version, note or "", now)
    if json:
        put_json(changed.model_dump_json(indent=2))
    else:
        console.line(f"{changed.subject}: {'no longer pinned' if remove else 'pinned'}")
    return DONE


def print_pins(console: Console, pins: list[Pin]) -> None:
    """Print the list."""
    if not pins:
        console.line("No pins. Set one with: idxflow pin latest")
        return
    cells = [(Text(pin.subject, "bold"), local_time(pin.set), pin.note) for pin in pins]
    for line in table_lines(("pinned", "since", "note"), cells):
        console.line(line)
