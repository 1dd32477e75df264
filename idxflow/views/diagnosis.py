"""A diagnosis as plain text, to be pasted into a bug report."""

from __future__ import annotations

from collections.abc import Iterator

from idxflow.diagnosing.diagnosis import Diagnosis
from idxflow.diagnosing.stores import StoreFacts
from idxflow.views.console import Console
from idxflow.views.layout import present
from schemas.counts import counted
from schemas.text import amount


def print_diagnosis(console: Console, found: Diagnosis) -> None:
    """Print it, the problems last."""
    for label, value in _rows(found):
        console.paragraph(label, value)
    console.line()
    for problem in found.problems:
        console.paragraph("Problem", f"{problem.subject}: {problem.found}. {problem.way_out}")
    if not found.problems:
        console.line("No problem found.")


def _rows(found: Diagnosis) -> Iterator[tuple[str, str]]:
    software, server = found.software, found.server
    packages = " ".join(f"{name}=={each.version}" for name, each in software.packages.items())
    blas = ", ".join(
        f"{each.name} {each.version}{f' ({each.kernel})' if each.kernel else ''}, {counted(each.threads, 'thread')}"
        for each in found.blas
    )
    memory = f"{amount(found.memory.free, 'bytes')} of memory free"
    if found.memory.total:
        memory = f"{amount(found.memory.total, 'bytes')} of memory, {amount(found.memory.free, 'bytes')} free"
    yield from present(
        ("idxflow", f"{software.idxflow}, {software.python}, {software.system}"),
        ("Machine", f"{counted(found.cores, 'core')}, {memory}"),
        ("BLAS", blas or "none that says so"),
        ("Home folder", found.home),
        *(("Disk", f"{disk.of}: {disk.kind or 'of an unknown kind'}, {_free(disk.free)}") for disk in found.disks),
        ("Store", _store(found.store) if found.store else "none yet"),
        ("Locks", found.store.locks if found.store else ""),
        ("Server", _server(found)),
        ("API", server.chosen and f"PREFECT_API_URL names {server.chosen}"),
        ("Settings", ", ".join(found.settings) or "no file"),
        ("Variables", ", ".join(found.variables) or "none"),
        ("Packages", packages),
    )


def _free(free: int | None) -> str:
    return "free space unknown" if free is None else f"{amount(free, 'bytes')} free"


def _store(store: StoreFacts) -> str:
    runs = ", ".join(f"{count} {state}" for state, count in store.runs.items())
    rest = [
        counted(store.aliases, "alias"),
        counted(store.pins, "pin"),
        f"{store.quarantined} in quarantine",
    ]
    total = counted(sum(store.runs.values()), "run")
    told = f"{total} ({runs})" if runs else total
    return f"format {store.format}; {counted(store.artifacts, 'artifact')}; {told}; {', '.join(rest)}"


def _server(found: Diagnosis) -> str:
    server = found.server
    database = f"; database {amount(server.database, 'bytes')}" if server.database is not None else ""
    if server.running:
        log = f"; log {amount(server.log, 'bytes')}" if server.log is not None else ""
        answers = "answers" if server.answers else "does not answer"
        return f"runs at {server.address} since {server.since}, {answers}{log}{database}"
    port = f"port {server.free_port} is free" if server.free_port else "no port is free"
    return f"none runs; {port}{database}"
