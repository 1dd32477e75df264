"""
The entry of the command line.

Nothing slow is imported before Ctrl-C is handled.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from idxflow.cli.entering import enter
from idxflow.cli.interrupts import end_at_once, held_back, interruptible


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:    arguments: as on the command line, without the program; None: those of this process, which then ends.
    Returns: the exit code.
    """
    if arguments is None:
        enter()
    try:
        try:
            with interruptible():
                with held_back():
                    from idxflow.cli.app import call
                    from idxflow.cli.ending import FAILED, leave
                    from idxflow.cli.output import lasting_streams
                with lasting_streams():
                    code = call(sys.argv[1:] if arguments is None else list(arguments))
        finally:
            if arguments is None:
                end_at_once()
        if arguments is None and code == FAILED:
            leave(code)
    except (Exception, KeyboardInterrupt) as error:
        with held_back():
            from idxflow.cli.ending import report_error
            from idxflow.cli.output import lasting_streams
            from idxflow.views.console import open_console

            with lasting_streams():
                return report_error(open_console(), error)
    return code
