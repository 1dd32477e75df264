"""
Show what an artifact was made from, down to the downloaded bytes, and where it was used.

A run stands for its model. Manifests are read and no file is hashed: `idxflow verify` does that.

Examples:
  idxflow lineage latest             the model of the newest completed run
  idxflow lineage champion --json
  idxflow lineage train/f28b --mermaid > lineage.mmd
"""

from __future__ import annotations

from typing import Annotated

from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, Word, flag
from idxflow.cli.output import put, put_json
from idxflow.views.console import open_console
from idxflow.views.lineage import flowchart, print_lineage
from schemas.errors import UsageError


def lineage(
    word: Word,
    /,
    *,
    json: Json = False,
    mermaid: Annotated[bool, flag("Print a Mermaid flowchart on standard output.")] = False,
    home: Home = None,
) -> int:
    """Show what an artifact was made from, and where it was used."""
    if json and mermaid:
        raise UsageError("--json, --mermaid", expected="one of them", found="both", way_out="Nothing was read.")
    found = open_store(home).lineage(word)
    if json:
        put_json(found)
    elif mermaid:
        put("\n".join(flowchart(found)))
    else:
        print_lineage(open_console(), found)
    return DONE
