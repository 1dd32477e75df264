"""`idxflow up`: all that scheduled runs need, in one command that stays."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from idxflow.cli.ending import DONE, tell
from idxflow.cli.interrupts import interruptible
from idxflow.cli.options import Home, Verbose, count_from
from idxflow.views.console import open_console


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
        Parameter(
            converter=count_from(1),
            metavar="N",
            help="Take at most N runs at once. [as many as the deployments' own limits allow]",
        ),
    ] = None,
    home: Home = None,
    verbose: Verbose = None,
) -> int:
    """Start or find the server, deploy the pipeline, and take its runs until Ctrl-C."""
    from idxflow.cli.settings import load_settings
    from idxflow.deploying.bringing_up import bring_up

    settings = load_settings({"home": home, "verbose": verbose})
    console = open_console(plain=True)
    try:
        with interruptible():
            bring_up(settings, console, serve=serve, limit=limit)
    except (Exception, KeyboardInterrupt) as error:
        return tell(console, error, verbose=settings.verbose)
    return DONE
