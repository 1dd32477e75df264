"""
The shards of a split that grows, as the graph walks them: bundles of those that are settled, parts of the others.

Of 365 shards a run would look at 2,920 artifacts that it has looked at the night before. So every 16 that stand one
behind the other are three bundles (`tasks.bundle`): of their tables, of their profiles, of the proofs of their files.
A run takes a bundle as one artifact. Where one cannot be taken, as it is not there yet or something in it is damaged or
to be rebuilt, its shards are walked one by one, and it is made again. A set of fewer shards has no bundle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import numpy as np

from artifacts.current import current_run
from artifacts.store.bundles import members_of
from artifacts.store.integrity import Damage
from artifacts.store.store import Store
from schemas.datasets import Dataset, Split
from schemas.events import PartsSettled
from tasks.bundle import BELOW, Kind, Span, bundle
from tasks.decompress import decompress
from tasks.download import download
from tasks.formats.idx import Header
from tasks.parse import parse
from tasks.profile import profile
from tasks.verify import verify

BUNDLED = 16
"""Shards of a bundle: of a year of nightly ones a run looks at 22 bundles of each kind, and at 15 shards at most."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_BELOW = [each.stage for each in BELOW]


@dataclass(frozen=True)
class Bundled:
    """The bundles of some shards, one a kind: what their calls returned."""

    span: Span
    tables: Any
    profiles: Any
    proofs: Any


@dataclass(frozen=True)
class Files:
    """What the calls of verify and decompress returned, by file: of those that are not in settled bundles alone."""

    proofs: Mapping[str, Any]
    raw: Mapping[str, Any]


class _Same:
    """Something that is told from others by its identity, however alike they are."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __hash__(self) -> int:
        return id(self.split)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.split is self.split


def spans_of(split: Split) -> tuple[Span, ...]:
    """Return the shards of a split that are bundled, so many at a time; those after the last whole bundle are not."""
    return _spans(_Same(split), BUNDLED) if len(split.shards) >= BUNDLED else ()


@lru_cache(maxsize=8)  # a run asks several times
def _spans(same: _Same, size: int) -> tuple[Span, ...]:
    shards, parts = same.split.shards, same.split.parts
    return tuple(
        Span.of_shards(shards[first : first + size], parts[first : first + size], first + 1)
        for first in range(0, len(parts) - size + 1, size)
    )


def seemingly_settled(spans: Iterable[Span]) -> list[Span]:
    """Return those of which the bundles are there, whatever has become of what is in them."""
    run = current_run()
    return [span for span in spans if span.known and run.seems_settled(bundle, _calls(span), _BELOW)]


def settled(spans: Iterable[Span]) -> dict[int, Bundled]:
    """
    Take the bundles of some spans that are there with all that is in them; nothing is computed.

    Returns: them, by the place of the first shard.
    """
    found = dict[int, Bundled]()
    for span in spans:
        if span.known:
            event = PartsSettled(span.split, tuple(span.names("tables")), tuple(span.names("proofs")))
            if taken := current_run().settled(bundle, _calls(span), _BELOW, event):
                found[span.first] = Bundled(span, *taken)
    return found


def told(data: Dataset) -> Dataset:
    """Return what the report takes of a set: of bundled shards nothing, as the proofs tell of their files."""
    splits = {
        name: split.model_copy(update={"shards": ()}) if spans_of(split) else split
        for name, split in data.splits.items()
    }
    return data.model_copy(update={"splits": splits})


def headers_of_bundles(store: Store, data: Dataset) -> dict[str, Header]:
    """
    Return the IDX headers of files whose parts are bundled, as far as their number of rows goes; for an estimate.

    Returns: them, by the name of the file.
    """
    found = dict[str, Header]()
    for split in data.splits.values():
        for span in spans_of(split):
            if not span.known:
                continue
            version = bundle.parts(bundle.bind("tables", span), store.scans).version
            if not store.is_committed(bundle.stage, version):
                continue
            with suppress(Damage):  # whoever takes it says so
                rows = [member.rows for member in members_of(store.folder(bundle.stage, version))]
                for shard, count in zip(span.shards, rows, strict=False):
                    shape = count, *split.spec.stored_shape.array
                    found[shard.images.name] = Header(np.dtype(np.uint8), shape)
                    found[shard.labels.name] = Header(np.dtype(np.uint8), shape[:1])
    return found


def brought(data: Dataset, spans: Iterable[Span], before: Files | None = None) -> Files:
    """
    Call download, verify and decompress for each file but those that are in settled bundles alone.

    Args:    spans: whose bundles are settled.  before: files that were brought already.
    Returns: these, and what was called now.
    """
    done = Counter(name for span in spans for name in span.names("proofs"))
    times = Counter(file.name for split in data.splits.values() for file in split.files)
    known = before.raw if before else {}
    wanted = [file for file in data.files if times[file.name] > done[file.name] and file.name not in known]
    stored = {file.name: download(file) for file in wanted}
    proofs = {file.name: verify(file, stored[file.name]) for file in wanted}
    raw = {file.name: decompress(file, stored[file.name], proofs[file.name]) for file in wanted}
    return Files({**before.proofs, **proofs}, {**before.raw, **raw}) if before else Files(proofs, raw)


class Parted:
    """
    A split whose shards are parts: its tables and profiles, part by part, or bundle by bundle.

    Args:
        spans: as of `spans_of`.
        there: its settled bundles, by the place of their first shard; no stage of the parts in them is called.
    """

    def __init__(self, split: Split, spans: Sequence[Span], there: Mapping[int, Bundled]) -> None:
        self._shards, self._parts, self._spans = split.shards, split.parts, spans
        self._there = dict(there)
        settled_ones = {place for first in there for place in range(first, first + BUNDLED)}
        self._walked = [place for place in range(1, len(self._parts) + 1) if place not in settled_ones]
        self._tables, self._profiles = dict[int, Any](), dict[int, Any]()

    def parse(self, raw: Mapping[str, Any]) -> None:
        """Call parse for each part that is looked for alone. Args: raw: what decompress returned, by file."""
        for place in self._walked:
            shard = self._shards[place - 1]
            files = [raw[shard.images.name]], [raw[shard.labels.name]]
            self._tables[place] = parse(*files, self._parts[place - 1])

    def profile(self) -> None:
        """Call profile for each of these."""
        for place in self._walked:
            self._profiles[place] = profile(self._tables[place], self._parts[place - 1])

    def bundle(self, proofs: Mapping[str, Any]) -> None:
        """Call bundle for whole ones of these. Args: proofs: what verify returned, by file."""
        for span in self._spans:
            if span.first not in self._there:
                places = range(span.first, span.first + BUNDLED)
                members: dict[Kind, list[Any]] = {
                    "tables": [self._tables.pop(place) for place in places],
                    "profiles": [self._profiles.pop(place) for place in places],
                    "proofs": [proofs[name] for name in span.names("proofs")],
                }
                self._there[span.first] = Bundled(span, *(bundle(kind, span, members[kind]) for kind in KINDS))

    @property
    def tables(self) -> list[Any]:
        """Its tables, in order."""
        return [*(self._there[each.first].tables for each in self._spans), *self._tables.values()]

    @property
    def profiles(self) -> list[Any]:
        """Its profiles, in order."""
        return [*(self._there[each.first].profiles for each in self._spans), *self._profiles.values()]

    @property
    def bundled(self) -> set[str]:
        """The names of the files that are in bundles."""
        return {name for span in self._spans for name in span.names("proofs")}

    @property
    def proofs(self) -> list[Any]:
        """The bundles of proofs."""
        return [self._there[each.first].proofs for each in self._spans]


def proofs_of(files: Files, parted: Collection[Parted]) -> list[Any]:
    """Return the bundles of proofs, then the proofs of the files that are in none."""
    listed = {name for split in parted for name in split.bundled}
    proofs = [proof for split in parted for proof in split.proofs]
    return proofs + [proof for name, proof in files.proofs.items() if name not in listed]


def _calls(span: Span) -> list[dict[str, Any]]:
    return [{"kind": kind, "span": span} for kind in KINDS]
