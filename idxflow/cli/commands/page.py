"""
Write the history of a store as one HTML page that needs no network and no server.

Runs, sortable and filterable; test accuracy over time with intervals; learning
curves of chosen runs over each other; links to reports. It is written into the
home folder, where its links hold; whatever else is at --out is not replaced.

Examples:
  idxflow page                    .idxflow/page.html
  idxflow page --out runs.html
  idxflow page --json
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.layout import short_path
from schemas.counts import counted
from schemas.text import amount


def page(
    *,
    out: Annotated[
        Path | None, Parameter(metavar="FILE", help="The .html file to write. [page.html in the home folder]")
    ] = None,
    json: Json = False,
    home: Home = None,
) -> int:
    """Write the page of a store."""
    console = open_console(json=json)
    made = open_store(home).page(out)
    if json:
        put_json({"page": str(made.path), "runs": made.runs, "curves": made.curves, "bytes": made.bytes})
    else:
        told = (
            f"{counted(made.runs, 'run', ',')}, {counted(made.curves, 'learning curve', ',')}, "
            f"{amount(made.bytes, 'bytes')}"
        )
        console.fact("Page", short_path(made.path))
        console.fact("In it", told)
    return DONE
