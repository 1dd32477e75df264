"""
Start or find the server, deploy the pipeline, and execute its runs until Ctrl-C.

Work pool, deployments (prefect.yaml), automations and a worker, in one
command that stays. Ctrl-C, SIGTERM or SIGHUP cancels the active runs, leaves
queued ones in the queue, and ends with exit code 0; the server stays. A second
one for the same home folder is refused.

Examples:
  idxflow up
  idxflow up --serve                     without a work pool and a worker
  idxflow up --home /srv/idxflow --limit 1
"""

from __future__ import annotations

from typing import Annotated

from idxflow.cli.ending import DONE, report_error
from idxflow.cli.interrupts import interruptible
from idxflow.cli.options import Home, Verbose, count, flag
from idxflow.views.console import open_console


def up(
    *,
    serve: Annotated[bool, flag("Execute the runs in this process, without a work pool and a worker.")] = False,
    limit: Annotated[
        int | None, count(1, "Execute at most N runs at once. [as many as the deployments' own limits allow]")
    ] = None,
    home: Home = None,
    verbose: Verbose = None,
) -> int:
    """Start the server, deploy the pipeline, and execute its runs."""
    from idxflow.cli.settings import load_settings
    from idxflow.deploying.bringing_up import bring_up

    settings = load_settings({"home": home, "verbose": verbose})
    console = open_console(plain=True)
    try:
        with interruptible():
            bring_up(settings, console, serve=serve, limit=limit)
    except (Exception, KeyboardInterrupt) as error:
        return report_error(console, error, verbose=settings.verbose)
    return DONE
