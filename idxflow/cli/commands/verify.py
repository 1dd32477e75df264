"""
Hash every file of every artifact, and check each manifest against its record.

Exit code 1, and a line for each problem, where anything is wrong.

Examples:
  idxflow verify
  idxflow verify --all --repair
"""

from __future__ import annotations

from typing import Annotated

from idxflow.api import open_store
from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.options import Home, Json, flag
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.store import print_audit


def verify(
    *,
    everything: Annotated[
        bool,
        flag("Check run records, aliases, pins and first uses too, and list what interrupted work left.", name="--all"),
    ] = False,
    repair: Annotated[bool, flag("Move what is damaged to quarantine; the next run rebuilds what it needs.")] = False,
    home: Home = None,
    json: Json = False,
) -> int:
    """Check the store."""
    archive = open_store(home)
    console = open_console(json=json)
    with console.watching():
        found = archive.verify(everything=everything, repair=repair)
    put_json(found) if json else print_audit(console, found, everything=everything, repaired=repair)
    return FAILED if found.problems else DONE
