"""
Show what `idxflow run` with the same options would do, stage by stage, and why. Nothing is computed.

cached: taken from the store. will run: computed. depends: on the
content of earlier stages, which are to be computed.

Examples:
  idxflow plan
  idxflow plan --set training.epochs=10
  idxflow plan --dataset digits --refresh parse --json
"""

from __future__ import annotations

from flows.garbage import lasting
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, RunOptions
from idxflow.cli.output import put_json


def plan(
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - immutable
    home: Home = None,
    json: Json = False,
) -> int:
    """Show what a run would do."""
    settings = options.settings(home=home)

    with lasting():
        from artifacts.store.store import Store
        from flows.many import grouped
        from flows.plan import plan_pipeline
        from idxflow.views.console import open_console
        from idxflow.views.stages import plan_lines, plan_total, planned_group

    console = open_console(json=json)
    with console.watching(), lasting():
        found = plan_pipeline(Store(settings.home, create=False), settings.job)
    if json:
        put_json(found)
        return DONE
    for rows in grouped(found.stages):
        console.lines(planned_group(rows, console.width) if len(rows) > 1 else plan_lines(rows[0], console.width))
    console.line(f"\nHeld out: {found.held_out}")
    if found.needs.stages:
        console.line(f"Needs {found.needs}.")
    console.line(plan_total(found))
    return DONE
