"""`idxflow plan`: what a run would do, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from idxflow.ending import DONE
from idxflow.options import Assign, Dataset, Home, Json, Mirror, Profile, Refresh, Revalidate

if TYPE_CHECKING:
    from artifacts.archive.plan import Plan, PlannedStage


def plan(
    *,
    dataset: Dataset = None,
    profile: Profile = None,
    assign: Assign = None,
    mirror: Mirror = None,
    refresh: Refresh = None,
    revalidate: Revalidate = None,
    home: Home = None,
    json: Json = False,
) -> int:
    """Say what `idxflow run` with the same options would do, stage by stage, and why. Nothing is computed."""
    from idxflow.settings import load_settings

    flags = {
        "dataset": dataset,
        "profile": profile,
        "mirror": mirror,
        "refresh": refresh,
        "revalidate": revalidate,
        "home": home,
    }
    settings = load_settings(flags, assign or ())

    from artifacts.store import Store
    from flows.plan import plan_pipeline
    from idxflow.console import Console

    console = Console(sys.stderr if json else sys.stdout, sys.stderr)
    with console.watching():
        found = plan_pipeline(
            Store(settings.home, create=False),
            settings.dataset,
            settings.training,
            settings.mirror,
            refresh=settings.refresh,
            revalidate=settings.revalidate,
        )
    if json:
        print(found.model_dump_json(indent=2))
        return DONE
    for row in found.stages:
        console.line(plan_line(row))
    console.line(f"\n{count(found)}")
    return DONE


def plan_line(row: PlannedStage) -> Text:
    """Return the line of a stage: stage, of what, what would happen, version, why."""
    from artifacts.reasons import sentence

    style = {"cached": "cyan", "will run": "green", "depends": "yellow"}[row.state]
    line = Text.assemble((f"{row.stage:10} ", "bold"), f"{row.name:27} ", (f"{row.state:8}  ", style))
    if row.state == "depends":
        line.append(f"on {_grouped(row.waits_for)}")
    else:
        line.append(f"{row.version or '':16}", "dim").append(f"  {sentence(row.changes)}")
    line.rstrip()
    return line


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
