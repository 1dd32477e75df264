"""
Why a stage has to be computed: the parts of its key, held against those of the nearest earlier version.

The nearest one is that stored artifact of the same stage and name which differs in the fewest inputs, then in the
fewest parts; of several, the youngest. Looked at are the newest 32 that runs of the same data set used. What the data
set is, its identity says, no name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from itertools import islice, zip_longest
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from artifacts.archive.index import RunIndex
from artifacts.archive.order import Order
from artifacts.keys import KeyParts, canonical_json, leaves
from artifacts.manifest import Input, Manifest
from artifacts.store.bundles import spread_inputs
from artifacts.store.store import Store

SHOWN = 3
"""Changes that a sentence names; the others are counted."""
MANY, COMPARED = 16, 3
"""Inputs above which earlier versions are told apart by what they share, and how many are then compared."""
LOOKED_AT, LISTED = 32, 256
"""Earlier versions among which the nearest is looked for, and those that may have been deleted since: what a person
knows of, at a cost that does not grow."""

Kind = Literal[
    "refresh",
    "damaged",
    "unfinished",
    "removed",
    "never run",
    "unknown",
    "file",
    "parameter",
    "code",
    "input",
    "package",
    "format",
]


class Change(BaseModel):
    """
    One thing that makes a stage run.

    Args:
        kind:          what sort of thing.
        subject:       which one: a parameter's dotted name, a file of the data set, a source file, a stage and what of,
                       a package; of what was never run, the data set on which it was not, if it was on others.
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
                return f"{self.kind} on this data set" if self.subject else self.kind
            case "refresh" | "damaged" | "unfinished" | "removed":
                return f"{self.kind}: {self.subject}" if self.subject else self.kind
            case "unknown":
                return f"{self.subject} is taken to see what it is"
            case "file" | "code" | "input":
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
    store: Store,
    index: RunIndex,
    name: str,
    parts: KeyParts,
    inputs: Sequence[Input],
    *,
    dataset: str = "",
    refreshed: str | None = None,
    made: str = "",
    unfinished: bool = False,
) -> tuple[Change, ...]:
    """
    Say why an artifact is not simply taken from the store, before it is made or afterwards.

    Args:
        index:     of the store's runs.
        name:      of what the stage makes it.
        parts:     of its key.
        inputs:    the artifacts that it takes, as its manifest lists them.
        dataset:   identity of the data set; empty: not known, any will do.
        refreshed: why it is to be rebuilt although it is stored, if it is.
        made:      id of the run that has made it by now; empty: it is still to be made.
        unfinished: where it has been made, whether there was one before that nobody had committed.
    Returns: at least one change.
    """
    if refreshed:
        return (Change(kind="refresh", subject=refreshed),)
    if unfinished or (not made and store.folder(parts.stage, parts.version).exists()):
        return (Change(kind="unfinished", subject="a run ended before its record was written"),)
    used = [run for run in index.users(parts.stage, parts.version) if run.id != made]
    since = datetime.fromisoformat(used[0].started) if used else None
    if reason := store.quarantined.reason(parts.stage, parts.version, since):
        return (Change(kind="damaged", subject=reason),)
    if used:
        return (Change(kind="removed", subject="made before, and cleaned up since"),)
    return _nearest(store, index, name, parts, inputs, dataset=dataset)


def explain_unasked(
    store: Store, index: RunIndex, name: str, parts: KeyParts, *, dataset: str = ""
) -> tuple[Change, ...]:
    """
    Say what differs from every earlier version beside the inputs, which are not known yet.

    Args:    parts: without inputs.  index, dataset: as for `explain`.
    Returns: nothing when it all depends on the inputs: there is a version that differs in nothing else.
    """
    return _nearest(store, index, name, parts, None, dataset=dataset)


def _nearest(
    store: Store, index: RunIndex, name: str, parts: KeyParts, inputs: Sequence[Input] | None, *, dataset: str
) -> tuple[Change, ...]:
    found_here = _earlier(store, index, name, parts.stage, dataset)
    earlier = list(islice((each for each in found_here if each.version != parts.version), LOOKED_AT))
    if not earlier:
        elsewhere = any(store.manifest(parts.stage, each) for each in index.versions_elsewhere(parts.stage, name))
        return (Change(kind="never run", subject=dataset if elsewhere else ""),)
    # One of another format is as far away as can be: it says nothing of the other parts.
    comparable = [each for each in earlier if each.parts.format == parts.format] or earlier
    if inputs is not None:  # a part is the same alone and in a bundle
        comparable = _likely(comparable, inputs)
        inputs = spread_inputs(store, inputs)
        comparable = [each.model_copy(update={"inputs": spread_inputs(store, each.inputs)}) for each in comparable]
    found = [_differences(manifest, parts, inputs) for manifest in comparable]
    return min(found, key=lambda changes: (sum(change.kind == "input" for change in changes), len(changes)))


def _likely(manifests: list[Manifest], inputs: Sequence[Input]) -> list[Manifest]:
    """Return those that may be the nearest: of many inputs only the few that share most of them, the youngest first."""
    if len(inputs) <= MANY:
        return manifests
    wanted = {(each.argument, each.digest) for each in inputs}
    away = [len(wanted ^ {(each.argument, each.digest) for each in manifest.inputs}) for manifest in manifests]
    chosen = sorted(range(len(manifests)), key=away.__getitem__)[:COMPARED]
    return [manifests[place] for place in sorted(chosen)]


def _earlier(store: Store, index: RunIndex, name: str, stage: str, dataset: str) -> Iterator[Manifest]:
    """Yield the manifests of what a stage made of `name`, the youngest first; `dataset` as for `explain`."""
    if dataset:
        for version in index.versions(stage, name, dataset)[:LISTED]:
            if (manifest := store.manifest(stage, version)) and manifest.name == name:
                yield manifest
        return
    found = sorted(store.manifests(stage), key=Order(index.runs()), reverse=True)
    yield from (manifest for manifest in found if manifest.name == name)


def _differences(manifest: Manifest, parts: KeyParts, inputs: Sequence[Input] | None) -> tuple[Change, ...]:
    before = manifest.parts
    if before.format != parts.format:  # then the other parts say nothing
        return (Change(kind="format", subject="the store's format", before=before.format, after=parts.format),)
    changed = tuple(_parameter_changes(dict(leaves(before.parameters)), dict(leaves(parts.parameters))))
    # What was made of a file that changed is another one for that reason, which is told already.
    told = {change.subject for change in changed if change.kind == "file"}
    taken = () if inputs is None else _input_changes(manifest.inputs, inputs)
    return (
        *changed,
        *_changes("code", before.code, parts.code),
        *(change for change in taken if not any(change.subject.endswith(f" {file}") for file in told)),
        *_changes("package", before.packages, parts.packages),
    )


def _parameter_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """Compare parameters; all that is said of a file whose content differs is one change: that of the file."""
    files = {path.removesuffix(".sha256") for path in (*before, *after) if path.endswith(".sha256")}
    changed = [file for file in sorted(files) if before.get(f"{file}.sha256") != after.get(f"{file}.sha256")]
    for file in changed:
        old, new = (each.get(f"{file}.sha256") for each in (before, after))
        name = (after if new else before).get(f"{file}.name", file)
        yield Change(kind="file", subject=name, before=old, after=new)
    told = tuple(f"{file}." for file in changed)
    rest = [{path: value for path, value in each.items() if not path.startswith(told)} for each in (before, after)]
    yield from _changes("parameter", *rest)


def _input_changes(before: Sequence[Input], after: Sequence[Input]) -> Iterator[Change]:
    """
    Compare inputs, argument by argument, by the place that they are taken in: their order is a part of the key.

    What is put in between others, or behind them, or taken out, changes none of the others.
    """
    for argument in dict.fromkeys(each.argument for each in (*after, *before)):
        olds, news = ([each for each in some if each.argument == argument] for some in (before, after))
        matcher = SequenceMatcher(None, [each.digest for each in olds], [each.digest for each in news], autojunk=False)
        for kind, start, stop, first, last in matcher.get_opcodes():
            if kind != "equal":
                for old, new in zip_longest(olds[start:stop], news[first:last]):
                    yield _input_change(old, new)


def _input_change(old: Input | None, new: Input | None) -> Change:
    taken = new or old
    if taken is None:
        raise ValueError("one of the two is there")
    return Change(
        kind="input",
        subject=f"{taken.stage} {taken.name}".strip(),
        before=old.digest if old else None,
        after=new.digest if new else None,
    )


def _changes(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for subject in sorted(before.keys() | after.keys()):
        if not (subject in before and subject in after and _same(before[subject], after[subject])):
            yield Change(kind=kind, subject=subject, before=before.get(subject), after=after.get(subject))


def _same(before: object, after: object) -> bool:
    """Compare two values as a key does: 1 is neither 1.0 nor true."""
    if isinstance(before, list | dict):
        return canonical_json(before) == canonical_json(after)
    return type(before) is type(after) and before == after


def _show(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return text if len(text) <= 24 else f"{text[:21]}..."
