"""
List the train images whose labels are worth a second look, the most doubtful first.

They are images that the model takes for another class, with a loss far above
what is usual for theirs. Whether a label is wrong, only a person sees; a line of
corrections.csv beside the description of the set corrects it.

Examples:
  idxflow hints
  idxflow hints champion --most 200 --csv hints.csv
  idxflow hints 43be --folds 5    ask five networks that have not seen the images
  idxflow hints --json
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.api import open_store
from idxflow.cli.completing import runs_and_names
from idxflow.cli.ending import DONE, report_error
from idxflow.cli.interrupts import end_at_once, held_back
from idxflow.cli.options import Home, Json, count, flag
from idxflow.cli.output import put_json
from idxflow.views.console import open_console
from idxflow.views.hints import print_hints


def hints(
    what: Annotated[
        str,
        Parameter(
            completer=runs_and_names, help="A run or a model: the beginning of its id, an alias, or latest. [latest]"
        ),
    ] = "latest",
    /,
    *,
    most: Annotated[int, count(1, "How many to list at most. [50]")] = 50,
    folds: Annotated[
        int | None,
        count(
            2, "Ask so many networks, each trained without the images that it is asked about; cached as all trainings."
        ),
    ] = None,
    csv: Annotated[Path | None, Parameter(metavar="FILE", help="Write them to a new CSV file, too.")] = None,
    home: Home = None,
    ephemeral: Annotated[bool | None, flag("With --folds: use a temporary Prefect server.")] = None,
    json: Json = False,
) -> int:
    """List labels worth a second look."""
    run = open_store(home).run(what)
    console = open_console(json=json)
    if folds:
        from idxflow.cli.hints import train_folds

        try:
            train_folds(run, folds, console, ephemeral=ephemeral, json=json)
        except (Exception, KeyboardInterrupt) as error:
            end_at_once()  # for good: this process has nothing else to do
            with held_back():
                return report_error(console, error)
    found = run.hints(most, folds=folds)
    if csv:
        from idxflow.hinting.hints import write_hints

        write_hints(csv, found)
    put_json(found) if json else print_hints(console, found, csv)
    return DONE
