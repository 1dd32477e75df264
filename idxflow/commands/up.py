"""`idxflow up`: all that scheduled runs need, in one command that stays."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from idxflow.console import Console
from idxflow.ending import DONE, tell, terminable
from idxflow.options import Home, Verbose
from schemas.errors import UsageError


def up(
    *,
    serve: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Take the runs in this process, without a work pool and a worker."
        ),
    ] = False,
    limit: Annotated[
        int | None,
        Parameter(metavar="N", help="Take at most N runs at once. [as many as the deployments' own limits allow]"),
    ] = None,
    home: Home = None,
    verbose: Verbose = None,
) -> int:
    """Start or find the server, deploy the pipeline, and take its runs until Ctrl-C."""
    if limit is not None and limit < 1:
        raise UsageError("--limit", expected="a whole number from 1", found=str(limit), way_out="Nothing has run.")
    from idxflow.deploying.bringing_up import bring_up
    from idxflow.settings import load_settings

    settings = load_settings({"home": home, "verbose": verbose})
    console = Console(sys.stdout, sys.stderr, plain=True)
    try:
        with terminable():
            bring_up(settings, console, serve=serve, limit=limit)
    except (Exception, KeyboardInterrupt) as error:
        return tell(console, error, verbose=settings.verbose)
    return DONE
