"""`idxflow plan`: what a run would do, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, RunOptions
from idxflow.cli.printing import put_json
from idxflow.views.tables import below, shown_version

if TYPE_CHECKING:
    from artifacts.archive.plan import Plan, PlannedStage

VERSION, INDENT = 16, 11


def plan(
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - immutable
    home: Home = None,
    json: Json = False,
) -> int:
    """Say what `idxflow run` with the same options would do, stage by stage, and why. Nothing is computed."""
    settings = options.settings(home=home)

    from artifacts.store.store import Store
    from flows.plan import plan_pipeline
    from idxflow.views.console import open_console

    console = open_console(json=json)
    with console.watching():
        found = plan_pipeline(Store(settings.home, create=False), settings.job)
    if json:
        put_json(found.model_dump_json(indent=2))
        return DONE
    for row in found.stages:
        for line in plan_lines(row, console.width):
            console.line(line)
    console.line(f"\nHeld out: {found.held_out}")
    if found.needs.stages:
        console.line(f"Needs {found.needs}.")
    console.line(count(found))
    return DONE


def plan_lines(row: PlannedStage, width: int | None = None) -> Iterator[Text]:
    """
    Yield what is said of a stage in a line: stage, of what, what would happen, version, why.

    Args: width: columns at hand; what does not fit stands below.
    """
    from artifacts.archive.reasons import sentence

    style = {"cached": "cyan", "will run": "green", "depends": "yellow"}[row.state]
    line = Text.assemble((f"{row.stage:10} ", "bold"), f"{row.name:27} ", (f"{row.state:8}  ", style))
    why = sentence(row.changes)
    if row.state == "depends":
        why = f"on {_grouped(row.waits_for)}"
    else:
        line.append(f"{shown_version(row.version or ' ' * VERSION, width)}  ", "dim")
    fits = width is None or line.cell_len + len(why) <= width
    if fits:
        line.append(why)
    line.rstrip()
    yield line
    if not fits:
        yield from below(why, INDENT, width)


def count(plan: Plan) -> str:
    """Sum a plan up in one sentence."""
    states = [row.state for row in plan.stages]
    cached, waiting = states.count("cached"), states.count("depends")
    if cached == len(states):
        return f"{plan.dataset}: all {cached} stages are cached; a run computes nothing."
    rest = f", {waiting} depending on what they turn out to be" if waiting else ""
    return f"{plan.dataset}: {cached} of {len(states)} stages cached, {states.count('will run')} to be computed{rest}."


def _grouped(subjects: Iterable[str]) -> str:
    """Name the stages that are waited for, each once, in their order."""
    return ", ".join(dict.fromkeys(subject.partition(" ")[0] for subject in subjects))
