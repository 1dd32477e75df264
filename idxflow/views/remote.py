"""A remote as people see it: what is there, what has travelled, what a check found, and what a clean-up deletes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from artifacts.remote.checking import RemoteAudit
from artifacts.remote.collecting import Collected
from artifacts.remote.shared import Moved, RemoteStatus
from idxflow.views.console import Console
from idxflow.views.layout import local_time
from schemas.counts import counted
from schemas.text import amount

ORDER = ("pushed", "pulled", "there", "behind", "ahead")
SAYS = {
    "behind": "the remote has a later state: `idxflow remote pull` takes it",
    "ahead": "here is a later state: `idxflow remote push` puts it there",
    "apart": "it was changed here and there: set it anew on one side, and push with that history",
    "differs": "another content has this version there, of whoever was first",
    "unreadable": "what is there cannot be believed: `idxflow remote verify --fix` takes it away",
    "damaged": "what is here is not what it was: `idxflow verify --repair`",
    "missing": "it is neither here nor there",
}
"""What a person does about a state."""


def print_remote(console: Console, found: RemoteStatus) -> None:
    """Print what a remote has beside this home folder."""
    console.fact("remote", found.url)
    console.fact("artifacts", f"{found.artifacts} there, {found.both} of them here too; {found.only_here} only here")
    console.fact("runs", f"{found.runs} there; {found.runs_here} only here")
    console.fact("aliases", f"{found.aliases} there")
    console.fact("size", f"{amount(found.bytes, 'bytes')} in {counted(found.blobs, 'blob')}, beside the records")
    if found.probed:
        console.fact("probed", f"sound since {local_time(found.probed)}")
    if found.homes:
        console.line()
        rows = [
            (home.home, home.host, str(home.artifacts), local_time(home.seen.isoformat()))
            for home in sorted(found.homes, key=lambda home: home.seen, reverse=True)
        ]
        console.table(("home", "host", "holds", "last seen"), rows, right={"holds"})
    if found.only_here or found.runs_here:
        console.line()
        console.line("`idxflow remote push` puts there what is only here.")


def print_moved(console: Console, moved: Sequence[Moved]) -> None:
    """Print what has travelled: what is odd by name, all else by number."""
    for each in moved:
        if says := SAYS.get(each.state):
            note = f" ({each.note})" if each.note else ""
            line = f"{each.kind} {each.subject}: {says}{note}."
            (console.fail if each.is_wrong else console.warn)(line)
    for kind in ("artifact", "run", "alias"):
        states = Counter[str](each.state for each in moved if each.kind == kind)
        told = ", ".join(f"{states[state]} {state}" for state in ORDER if states[state])
        if told:
            size = sum(each.bytes for each in moved if each.kind == kind)
            took = f"; {amount(size, 'bytes')}" if size else ""
            console.line(f"{counted(sum(states.values()), kind)}: {told}{took}.")
    if not moved:
        console.line("Nothing to do.")


def print_remote_audit(console: Console, found: RemoteAudit) -> None:
    """Print what a check of a remote found."""
    for problem in found.problems:
        console.fail(f"{problem.subject}: {problem.text}.")
    counts = f"{counted(found.artifacts, 'artifact')}, {counted(found.runs, 'run')}, {counted(found.aliases, 'alias')}"
    console.line(f"Checked: {counts}; {amount(found.bytes, 'bytes')} read and hashed.")
    if found.loose:
        console.line(
            f"Of no artifact: {counted(found.loose, 'blob')}. `idxflow remote gc` takes them once they are old."
        )
    if found.problems and found.fixed:
        console.line(
            f"Deleted {counted(len(found.problems), 'damaged thing')}. `idxflow remote push` puts it there again."
        )
    elif found.problems:
        console.line(f"Found {counted(len(found.problems), 'problem')}. --fix deletes what cannot be believed.")


def print_collected(console: Console, found: Collected) -> None:
    """Print what a clean-up of a remote deleted, or would delete."""
    if found.going:
        rows = [(each.subject, amount(each.bytes, "bytes")) for each in found.going]
        console.table(("artifact", "size"), rows, right={"size"})
        console.line()
    items = (
        f"{counted(len(found.going), 'artifact')} and {counted(found.blobs, 'blob')} ({amount(found.bytes, 'bytes')})"
    )
    young = f", {found.young} of them as they are young" if found.young else ""
    kept = f"{counted(found.kept, 'artifact')}{young}, of {counted(len(found.homes), 'home folder')}"
    if not found.going and not found.blobs:
        console.line(f"Nothing to delete; kept {kept}.")
    elif found.done:
        console.line(f"Deleted {items}; kept {kept}.")
        if found.spared:
            console.line(f"{counted(found.spared, 'object')} put again meanwhile: kept.")
    else:
        console.line(f"Would delete {items} and keep {kept}. Nothing has changed: add --yes to delete.")
