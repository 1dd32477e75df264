"""
Compare two runs: what they were made from, and what came of it.

Whether one model is better than the other by more than chance is tested with
the exact McNemar test, over the test images that exactly one of them gets right.
A model stands for the run that made it, or the newest that completed with it;
where only a sweep has it, both are compared by their held-out rows.

Examples:
  idxflow compare 1d54 43be
  idxflow compare champion latest    what the newest completed run changes
  idxflow compare champion latest --images 20
  idxflow compare champion latest --html changes.html    with pictures
  idxflow compare champion latest --json > comparison.json
  idxflow compare 43be:12 43be:3     two trials of a sweep, on held-out rows
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from artifacts.archive.lookup import is_untested
from idxflow.api import open_store
from idxflow.cli.completing import runs_and_names
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count
from idxflow.cli.output import put_json
from idxflow.views.comparison import print_comparison, print_trainings
from idxflow.views.console import open_console
from idxflow.views.layout import short_path
from idxflow.views.page_files import check_page, write_page


def compare(
    run_a: Annotated[
        str, Parameter(completer=runs_and_names, help="A run: the beginning of its id, an alias, or latest.")
    ],
    run_b: Annotated[str, Parameter(completer=runs_and_names, help="The run to compare it with.")],
    /,
    *,
    images: Annotated[
        int, count(0, "How many images to show that only A gets right, and that only B gets right. [5]")
    ] = 5,
    html: Annotated[
        Path | None,
        Parameter(metavar="FILE", help="Write it to a new .html file too, with pictures of the images that differ."),
    ] = None,
    home: Home = None,
    json: Json = False,
) -> int:
    """Compare two runs."""
    archive, console = open_store(home), open_console(json=json)
    if html:
        check_page(html)
    if any(is_untested(archive.store, word) for word in (run_a, run_b)):
        trainings = archive.compare_trainings(run_a, run_b)
        put_json(trainings) if json else print_trainings(console, trainings)
        page = trainings.to_html() if html else ""
    else:
        comparison = archive.compare(run_a, run_b)
        put_json(comparison) if json else print_comparison(console, comparison, images)
        page = comparison.to_html() if html else ""
    if html:
        write_page(html, page)
        console.line()
        console.fact("Written", short_path(html.absolute()))
    return DONE
