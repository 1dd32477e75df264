"""
Why a stage has to be computed: the parts of its key, held against those of the nearest earlier version.

The nearest one is the stored artifact of the same stage, name and data set that differs in the fewest inputs, then in
the fewest parts; of several, the youngest.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from artifacts.archive.runs import list_runs, runs_with
from artifacts.keys import KeyParts, canonical_json, leaves
from artifacts.manifest import Input, Manifest
from artifacts.store import Store

DATASET = frozenset({"file.dataset", "spec.dataset", "dataset.name"})
"""Parameters that say which data set a stage works on."""
SHOWN = 3
"""Changes that a sentence names; the others are counted."""

Kind = Literal[
    "refresh", "damaged", "unfinished", "removed", "never run", "parameter", "code", "input", "package", "format"
]


class Change(BaseModel):
    """
    One thing that makes a stage run.

    Args:
        kind:          what sort of thing.
        subject:       which one: a parameter's dotted name, a source file, a stage and what of, a package; of what was
                       never run, the data set on which it was not, where it was on others.
        before, after: its values, where it has any; None where it was not there.
    """

    model_config = ConfigDict(frozen=True)
    kind: Kind
    subject: str = ""
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        match self.kind:
            case "never run":
                return f"{self.kind} on {self.subject}" if self.subject else self.kind
            case "refresh" | "damaged" | "unfinished" | "removed":
                return f"{self.kind}: {self.subject}" if self.subject else self.kind
            case "code" | "input":
                change = "is new" if self.before is None else "is gone" if self.after is None else "changed"
                if self.kind == "input" and change == "changed":  # by content, which is no version
                    change += f" (content {self.before[:8]} -> {self.after[:8]})"
                return f"{self.subject} {change}"
        return f"{self.subject} {_show(self.before)} -> {_show(self.after)}"


def sentence(changes: Sequence[Change]) -> str:
    """Name the first few changes, and count the others."""
    more = len(changes) - SHOWN
    named = ", ".join(str(change) for change in changes[:SHOWN])
    return f"{named}, and {more} more" if more > 0 else named


def explain(
    store: Store, name: str, parts: KeyParts, inputs: Sequence[Input], *, refreshed: str | None = None
) -> tuple[Change, ...]:
    """
    Say why an artifact is not simply taken from the store.

    Args:
        name:      of what the stage makes it.
        parts:     of its key.
        inputs:    the artifacts that it takes, as its manifest lists them.
        refreshed: why it is to be made anew although it is stored, if it is.
    Returns: at least one change.
    """
    if refreshed:
        return (Change(kind="refresh", subject=refreshed),)
    if store.folder(parts.stage, parts.version).exists():
        return (Change(kind="unfinished", subject="a run ended before its record was written"),)
    used = runs_with(list_runs(store), parts.stage, parts.version)
    since = datetime.fromisoformat(used[0].started) if used else None
    if reason := store.quarantined.reason(parts.stage, parts.version, since):
        return (Change(kind="damaged", subject=reason),)
    if used:
        return (Change(kind="removed", subject="made before, and cleaned up since"),)
    return _nearest(store, name, parts, inputs)


def explain_unasked(store: Store, name: str, parts: KeyParts) -> tuple[Change, ...]:
    """
    Say what differs from every earlier version beside the inputs, which are not known yet.

    Args:    parts: without inputs.
    Returns: nothing when it all depends on the inputs: there is a version that differs in nothing else.
    """
    return _nearest(store, name, parts, None)


def _nearest(store: Store, name: str, parts: KeyParts, inputs: Sequence[Input] | None) -> tuple[Change, ...]:
    earlier = [each for each in store.manifests(parts.stage) if each.name == name]
    if not earlier:
        return (Change(kind="never run"),)
    read = functools.cache(store.manifest)
    if dataset := _dataset_of(read, parts, inputs or ()):
        earlier = [each for each in earlier if _dataset_of(read, each.parts, each.inputs) in (dataset, None)]
    if not earlier:
        return (Change(kind="never run", subject=dataset or ""),)
    # One of another format is as far away as can be: it says nothing of the other parts.
    comparable = [each for each in earlier if each.parts.format == parts.format] or earlier
    comparable.sort(key=lambda manifest: manifest.created, reverse=True)
    found = [_differences(manifest, parts, inputs) for manifest in comparable]
    return min(found, key=lambda changes: (sum(change.kind == "input" for change in changes), len(changes)))


def _dataset_of(read: Callable[[str, str], Manifest | None], parts: KeyParts, inputs: Sequence[Input]) -> str | None:
    """Return the data set that an artifact is of, as its own parameters say, or those of what it was made from."""
    waiting, seen = [(parts, inputs)], set[tuple[str, str]]()
    for each, taken in waiting:
        for subject, value in leaves(each.parameters):
            if subject in DATASET:
                return str(value)
        above = {(one.stage, one.version) for one in taken} - seen
        seen |= above
        waiting += [(manifest.parts, manifest.inputs) for one in sorted(above) if (manifest := read(*one))]
    return None


def _differences(manifest: Manifest, parts: KeyParts, inputs: Sequence[Input] | None) -> tuple[Change, ...]:
    before = manifest.parts
    if before.format != parts.format:  # then the other parts say nothing
        return (Change(kind="format", subject="the store's format", before=before.format, after=parts.format),)
    return (
        *_changes("parameter", dict(leaves(before.parameters)), dict(leaves(parts.parameters))),
        *_changes("code", before.code, parts.code),
        *(() if inputs is None else _input_changes(manifest.inputs, inputs)),
        *_changes("package", before.packages, parts.packages),
    )


def _input_changes(before: Sequence[Input], after: Sequence[Input]) -> Iterator[Change]:
    """Compare inputs by the place that they are taken in: their order is a part of the key."""
    for old, new in zip_longest(before, after):
        if old is None or new is None or (old.argument, old.digest) != (new.argument, new.digest):
            taken = new or old
            yield Change(
                kind="input",
                subject=f"{taken.stage} {taken.name}".strip(),
                before=old.digest if old else None,
                after=new.digest if new else None,
            )


def _changes(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for subject in sorted(before.keys() | after.keys()):
        old, new = ([each[subject]] if subject in each else [] for each in (before, after))
        if canonical_json(old) != canonical_json(new):  # as in a key, 1 is neither 1.0 nor true
            yield Change(kind=kind, subject=subject, before=next(iter(old), None), after=next(iter(new), None))


def _show(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return text if len(text) <= 24 else f"{text[:21]}..."
