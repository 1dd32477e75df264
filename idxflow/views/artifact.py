"""The page of one artifact: its manifest, the runs that made and used it, and what keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from rich.text import Text

from artifacts.archive.index import RunIndex
from artifacts.archive.name_records import ArtifactPin, Pin
from artifacts.archive.names import Names
from artifacts.manifest import Manifest
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.views.console import Console
from idxflow.views.layout import below, few, local_time, present, table_lines
from schemas.counts import counted
from schemas.text import amount, duration

WIDTH = 50
"""Columns within which a nested value stands in one line; a larger one is shown part by part."""
DIGITS = 16
"""Of a digest, that a person sees."""


class ArtifactFacts(BaseModel):
    """What `idxflow show` shows of an artifact."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["artifact"] = "artifact"
    folder: Path
    bytes: int
    manifest: Manifest
    aliases: tuple[str, ...]
    pins: tuple[Pin, ...] = Field(description="of itself, and of runs that made or used it")
    runs: tuple[str, ...] = Field(description="ids of the runs that made or used it, newest first")


def artifact_facts(store: Store, stored: Stored) -> ArtifactFacts:
    """Gather everything about an artifact."""
    stage, version = stored.manifest.stage, stored.manifest.version
    with RunIndex(store) as index:
        users = tuple(run.id for run in index.users(stage, version))
    names = Names(store)
    return ArtifactFacts(
        folder=stored.folder,
        bytes=stored.manifest.bytes,
        manifest=stored.manifest,
        aliases=tuple(alias.name for alias in names.aliases() if alias.artifact == (stage, version)),
        pins=tuple(
            pin
            for pin in names.pins()
            if ((pin.stage, pin.version) == (stage, version) if isinstance(pin, ArtifactPin) else pin.run in users)
        ),
        runs=users,
    )


def print_artifact(console: Console, facts: ArtifactFacts) -> None:
    """Print an artifact's page."""
    for label, value in _facts(facts):
        console.paragraph(label, value)
    manifest = facts.manifest
    console.section("Parameters", list(_leaves(manifest.parts.parameters)))
    inputs = [(each.argument, f"{each.stage}/{each.version} {each.name}".rstrip()) for each in manifest.inputs]
    console.section("Inputs", inputs)
    summary = dict(manifest.summary)
    corrections = summary.pop("corrections", ())
    console.section("Result", [row for row in _leaves(summary) if row != ("corrected", "")])
    if corrections:
        console.line(Text("\nCorrected labels", "bold"))
        console.lines(line for text in corrections for line in below(text, 2, console.width, ""))
    console.line(Text("\nFiles, with their SHA-256", "bold"))
    sizes = [(f"  {name}", amount(entry.bytes, "bytes")) for name, entry in manifest.files.items()]
    _, *lines = table_lines(("", "size"), sizes, right=("size",))
    for line, entry in zip(lines, manifest.files.values(), strict=True):
        console.lines((line, Text(f"    {entry.sha256}", "dim")))


def _facts(facts: ArtifactFacts) -> Iterator[tuple[str, str]]:
    manifest, environment = facts.manifest, facts.manifest.environment
    decisive = manifest.parts.packages
    made = f"{local_time(manifest.created, seconds=True)} in {duration(manifest.seconds)} by run {manifest.run}"
    others = {name: each for name, each in environment.packages.items() if name not in decisive}
    return present(
        ("Artifact", f"{manifest.stage}/{manifest.version} {manifest.name}".rstrip()),
        ("Made", made),
        ("Used by", few(facts.runs) or "no run in the history"),
        ("Aliases", ", ".join(facts.aliases)),
        *(("Pin", pin.subject + (f": {pin.note}" if pin.note else "")) for pin in facts.pins),
        ("Folder", facts.folder),
        ("Size", f"{amount(facts.bytes, 'bytes')} in {counted(len(manifest.files), 'file')}"),
        ("Content", manifest.digest[:DIGITS]),
        ("Code", counted(len(manifest.parts.code), "file")),
        ("Bits decided by", _versions(decisive)),
        ("Environment", f"Python {environment.python}, {environment.platform}, {counted(environment.cores, 'core')}"),
        ("Packages", _versions(others)),
        ("Variables", ", ".join(f"{name}={value}" for name, value in environment.numerics.items())),
        ("Git commit", f"{environment.git_commit or ''}{' with changes' * bool(environment.git_dirty)}"),
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of nested JSON with their dotted names."""
    if isinstance(value, float):
        yield name, f"{value:.6g}"
    elif isinstance(value, dict) and (not name or len(json.dumps(value)) > WIDTH):
        for each, part in value.items():
            yield from _leaves(part, f"{name}.{each}".removeprefix("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict | list):
        for place, part in enumerate(value):
            yield from _leaves(part, f"{name}.{place}")
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())
