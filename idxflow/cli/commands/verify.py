"""`idxflow verify`: whether what is stored is what it was."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from idxflow.archive import open_store
from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.options import Home, Json
from idxflow.cli.printing import put_json
from idxflow.views.console import open_console
from idxflow.views.times import CLOCK
from schemas.text import amount, counted, duration

SHOWN = 3
"""Records that a line names."""


def verify(
    *,
    everything: Annotated[
        bool,
        Parameter(
            name="--all",
            negative="",
            show_default=False,
            help="Look at run records, aliases, pins and first uses too, and list what interrupted work left.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Put what is damaged in quarantine; the next run makes anew what it needs of it.",
        ),
    ] = False,
    home: Home = None,
    json: Json = False,
) -> int:
    """Hash every file of every artifact in full, and hold each manifest against its record."""
    archive = open_store(home)
    console = open_console(json=json)
    with console.watching():
        found = archive.verify(everything=everything, repair=repair)
    if json:
        put_json(found.model_dump_json(indent=2))
        return FAILED if found.problems else DONE
    for problem in found.problems:
        moved = f" It is in quarantine now: {problem.moved_to}." if problem.moved_to else ""
        way_out = f" {problem.way_out}" if problem.way_out else ""
        console.fail(f"{problem.subject}: {problem.found}.{moved}{way_out}")
    if everything:
        for leftover in found.leftovers:
            console.line(f"left over: {leftover}")
    if found.future:
        few = ", ".join(found.future[:SHOWN]) + (", ..." if len(found.future) > SHOWN else "")
        console.warn(f"{counted(len(found.future), 'record')} from the future: {few}. {CLOCK}")
    rate = amount(found.bytes / max(found.seconds, 1e-3), "bytes")
    console.line(
        f"{counted(found.artifacts, 'artifact')} sound: {counted(found.files, 'file')}, {amount(found.bytes, 'bytes')} "
        f"hashed in {duration(found.seconds)} ({rate}/s)."
    )
    if found.busy:
        console.line(f"{found.busy} left out: a run is making them right now.")
    if found.problems:
        mendable = any(not problem.way_out for problem in found.problems)
        hint = " --repair puts what is damaged in quarantine; a run makes it anew." if mendable and not repair else ""
        console.line(f"{len(found.problems)} {'thing is' if len(found.problems) == 1 else 'things are'} wrong.{hint}")
    elif found.leftovers and not everything:
        console.line(f"Left over or in quarantine: {len(found.leftovers)}. --all lists it, `idxflow gc` takes it away.")
    return FAILED if found.problems else DONE
