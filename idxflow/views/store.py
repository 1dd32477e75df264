"""A store as people see it: aliases, pins, first uses; what a check found, and what a clean-up deletes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field
from rich.text import Text

from artifacts.archive.audit import Audit
from artifacts.archive.collect import Cleanup
from artifacts.archive.index import RunIndex
from artifacts.archive.name_records import Alias, Pin, Placement
from artifacts.archive.runs import read_run
from artifacts.store.store import Store
from artifacts.store.trust import Trusted
from flows.run_record import RunRecord
from idxflow.server.history import Trimmed
from idxflow.server.local import DAYS
from idxflow.views.console import Console
from idxflow.views.layout import CLOCK, few, local_time
from schemas.counts import counted
from schemas.text import amount, duration, share
from schemas.visible import in_a_line

DIGITS = 16
"""Of a SHA-256, as many as a person is shown."""


class Row(BaseModel):
    """What an alias stands for, or did once; all but the moment is None where it was removed."""

    model_config = ConfigDict(frozen=True)
    stage: str | None
    version: str | None
    run: str | None = Field(description="id of the run that made it")
    since: str = Field(description="UTC, ISO 8601")
    test_accuracy: float | None = Field(description="of a model, as far as a run in the history knows it")
    verdict: str | None = Field(description="version of the artifact of promote that let it; None: a person set it")
    force: str | None = Field(description="the reason of a person who overruled the gate")


class Page(BaseModel):
    """One alias."""

    model_config = ConfigDict(frozen=True)
    name: str
    current: Row
    before: tuple[Row, ...] = Field(description="what it stood for before, the latest first")


def page_of(alias: Alias, store: Store, index: RunIndex) -> Page:
    """Return what an alias stands for, with what the history knows of it."""
    *before, current = (_row(placement, store, index) for placement in alias.history)
    return Page(name=alias.name, current=current, before=tuple(reversed(before)))


def print_aliases(console: Console, pages: Sequence[Page]) -> None:
    """Print the list of aliases."""
    if not pages:
        console.line("No aliases. Set one with: idxflow alias champion latest")
        return
    cells = [(Text(page.name, "bold"), *_cells(page.current)) for page in pages]
    console.table(("alias", "artifact", "since", "test"), cells, right=("test",))


def print_alias(console: Console, page: Page) -> None:
    """Print one alias and what it stood for before."""
    artifact, since, test = _cells(page.current)
    test = "" if page.current.test_accuracy is None else f", test accuracy {test}"
    console.line(Text.assemble((page.name, "bold"), f": {artifact} since {since}{test}"))
    if page.current.verdict:
        force = f", by force: {in_a_line(page.current.force)}" if page.current.force else ""
        console.line(f"Verdict: promote/{page.current.verdict}{force}")
    if page.before:
        console.line()
        console.table(("before", "since", "test"), [_cells(row) for row in page.before], right=("test",))


def print_pins(console: Console, pins: Sequence[Pin]) -> None:
    """Print the list of pins."""
    if not pins:
        console.line("No pins. Set one with: idxflow pin latest")
        return
    cells = [(Text(pin.subject, "bold"), local_time(pin.set), pin.note) for pin in pins]
    console.table(("pinned", "since", "note"), cells)


def print_all_trusted(console: Console, known: Sequence[Trusted], flaws: Sequence[object] = ()) -> None:
    """Print the list of data sets with files that are trusted on first use, and the records that do not read."""
    cells = [
        (
            Text(each.names, "bold"),
            counted(len(each.files), "file"),
            f"{local_time(each.since)}{' (to be renewed)' if each.renewing else ''}",
            each.place,
            each.address,
        )
        for each in known
    ]
    if known:
        console.table(("set", "files", "since", "record", "address"), cells)
    else:
        console.line("No file is trusted on first use: each has a published checksum, or is on this machine.")
    for flaw in flaws:
        console.warn(str(flaw))


def print_trusted(console: Console, trusted: Trusted) -> None:
    """Print what is trusted of one data set."""
    console.line(Text.assemble((trusted.names, "bold"), f"  {trusted.address}"))
    since, renewing = f"trusted since {local_time(trusted.since)}", len(trusted.renewing)
    files = "all files" if renewing == len(trusted.files) else counted(renewing, "file")
    console.line(f"{since}; the next run accepts {files} as they are then" if renewing else since)
    cells = [
        (name, amount(file.bytes, "bytes"), Text(file.sha256[:DIGITS], "dim")) for name, file in trusted.files.items()
    ]
    console.table(("file", "size", "SHA-256"), cells, right=("size",))


def _row(placement: Placement, store: Store, index: RunIndex) -> Row:
    accuracy = None
    if placement.stage == "train" and placement.version:
        using = filter(None, (read_run(store, run.id) for run in index.users(placement.stage, placement.version)))
        metrics = (RunRecord.of(run).metrics for run in using)
        accuracy = next((each["test"].accuracy for each in metrics if "test" in each), None)
    return Row(
        stage=placement.stage,
        version=placement.version,
        run=placement.run,
        since=placement.set,
        test_accuracy=accuracy,
        verdict=placement.verdict,
        force=placement.force,
    )


def _cells(row: Row) -> tuple[str, str, str]:
    """Return artifact, moment and test accuracy as a table shows them."""
    artifact = f"{row.stage}/{row.version}" if row.stage else "nothing"
    return artifact, local_time(row.since), "-" if row.test_accuracy is None else share(row.test_accuracy)


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


def print_cleanup(console: Console, found: Cleanup, history: Trimmed | None) -> None:
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
