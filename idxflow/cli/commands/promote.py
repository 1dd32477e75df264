"""
Let an alias stand for the model of a run, if it is better than the one that has it.

Both models are compared on the same test images with the exact McNemar test.
The alias moves if the model is better by more than chance explains, no class is
worse by more than a point and chance, and the test accuracy is not below
--alert-below. The verdict is stored whatever it is. Where the alias does not
move, the exit code is 3.

Examples:
  idxflow promote latest champion          champion of the run's data set
  idxflow promote 43be champion@mnist
  idxflow promote 43be champion --force "its labels were wrong"
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from idxflow.api import open_store
from idxflow.cli.completing import aliases, runs_and_names
from idxflow.cli.ending import BELOW, DONE, report_error
from idxflow.cli.interrupts import end_at_once, held_back
from idxflow.cli.options import Home, Json, flag
from idxflow.views.console import open_console
from schemas.errors import UsageError


def promote(
    what: Annotated[
        str,
        Parameter(completer=runs_and_names, help="A run or a model: the beginning of its id, an alias, or latest."),
    ],
    alias: Annotated[
        str, Parameter(completer=aliases, help="The alias, perhaps with its data set: champion, champion@mnist.")
    ],
    /,
    *,
    force: Annotated[
        str | None,
        Parameter(metavar="REASON", help="Promote whatever is found; the reason is kept with the verdict."),
    ] = None,
    alert_below: Annotated[
        float | None, Parameter(metavar="ACCURACY", help="The least test accuracy that may be promoted: 0 to 1.")
    ] = None,
    home: Home = None,
    ephemeral: Annotated[bool | None, flag("Use a temporary Prefect server.")] = None,
    json: Json = False,
) -> int:
    """Let an alias stand for the model of a run."""
    if force is not None and not force.strip():
        way_out = "Say why the gate is to be overruled. Nothing has run."
        raise UsageError("--force", expected="a reason", found="an empty text", way_out=way_out)
    from idxflow.cli.settings import load_settings

    archive, console = open_store(home), open_console(json=json)
    archive.names.refuse_flaws(alias)
    run = archive.run(what)
    given = {"home": str(archive.store.home), "ephemeral": ephemeral, "alert_below": alert_below, "dataset": "digits"}
    settings = load_settings(given)
    from idxflow.cli.promote import ask_gate

    try:
        record = ask_gate(run, alias, force, settings, console, json=json)
    except (Exception, KeyboardInterrupt) as error:
        end_at_once()  # for good: this process has nothing else to do
        with held_back():
            return report_error(console, error)
    return DONE if record.promotion and record.promotion.stands else BELOW
