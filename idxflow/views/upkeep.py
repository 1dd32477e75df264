"""The upkeep of a store: what a check found, and what a clean-up deletes."""

from __future__ import annotations

from artifacts.archive.audit import Audit
from artifacts.archive.collect import Cleanup
from idxflow.server.history import History
from idxflow.server.local import DAYS
from idxflow.views.console import Console
from idxflow.views.layout import CLOCK, few
from schemas.counts import counted
from schemas.text import amount, duration


def print_audit(console: Console, found: Audit, *, everything: bool, repaired: bool) -> None:
    """
    Print what a check of the store found.

    Args: everything: list leftovers.  repaired: what is damaged has been moved already.
    """
    for problem in found.problems:
        moved = f" Moved to {problem.moved_to}." if problem.moved_to else ""
        way_out = f" {problem.way_out}" if problem.way_out else ""
        console.fail(f"{problem.subject}: {problem.found}.{moved}{way_out}")
    if everything:
        console.lines(f"Leftover: {leftover}" for leftover in found.leftovers)
    if found.future:
        console.warn(f"Dated in the future: {counted(len(found.future), 'record')} ({few(found.future)}). {CLOCK}")
    rate = amount(found.bytes / max(found.seconds, 1e-3), "bytes")
    hashed = f"{counted(found.files, 'file')}, {amount(found.bytes, 'bytes')} hashed in {duration(found.seconds)}"
    console.line(f"Sound: {counted(found.artifacts, 'artifact')}, {hashed} ({rate}/s).")
    if found.busy:
        console.line(f"Skipped: {counted(found.busy, 'artifact')} that a run is writing now.")
    if found.problems:
        mendable = any(not problem.way_out for problem in found.problems) and not repaired
        hint = " --repair moves damaged artifacts to quarantine; the next run rebuilds them." if mendable else ""
        console.line(f"Found {counted(len(found.problems), 'problem')}.{hint}")
    elif found.leftovers and not everything:
        items = counted(len(found.leftovers), "item")
        console.line(f"Leftover or in quarantine: {items}. --all lists, `idxflow gc` deletes.")


def print_cleanup(console: Console, found: Cleanup, history: History | None) -> None:
    """Print what a clean-up deleted, or would delete."""
    for link in found.links:
        console.warn(f"{link} is a link: nothing behind it was looked at. Delete the link.")
    rows = [(each.kind, each.subject, amount(each.bytes, "bytes"), each.reason) for each in found.candidates]
    if rows:
        console.table(("what", "which", "size", "why"), rows, right={"size"})
        console.line()
    kept = f"{counted(found.kept, 'artifact')} ({amount(found.kept_bytes, 'bytes')})"
    items = f"{counted(len(rows) - len(found.spared), 'item')} ({amount(found.bytes, 'bytes')})"
    if not rows:
        console.line(f"Nothing to delete; kept {kept}.")
    elif found.done:
        console.line(f"Deleted {items}; kept {kept}.")
        console.lines(f"{each.subject}: in use, kept." for each in found.spared)
    else:
        console.line(f"Would delete {items} and keep {kept}. Nothing has changed: add --yes to delete.")
    if history and not history.asked:
        console.line(
            "The dashboard's history was not trimmed: no server of this home folder runs. While one runs, it deletes "
            f"runs that ended more than {counted(DAYS, 'day')} ago."
        )
    elif history and (history.runs or history.done):
        days = history.older_than_days
        age = counted(int(days), "day") if days.is_integer() else counted(round(24 * days), "hour")
        runs = f"{counted(history.runs, 'run')} that ended more than {age} ago"
        verb = "Deleted" if history.done else "Would delete"
        console.line(f"{verb} from the dashboard: {runs}, with logs and pages.")
