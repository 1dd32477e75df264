"""Rows of stages that a person is shown as one: of the parts of a split, and of the files that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from schemas.counts import counted
from schemas.datasets import Dataset
from schemas.events import PartsExpected, emit

MANY = 8
"""Rows of one stage from which on they are shown as one."""
NAMED = 3
"""Rows of such that are named with their reason; the others are in a count."""
PARSE, PROFILE, VALIDATE = "parse", "profile", "validate"
FILES, PARTS = ("download", "verify", "decompress"), (PARSE, PROFILE)
"""Stages that are called once a file, and once a part."""
BUNDLES = ("bundle",)
"""Stages that are called once for many parts."""


class Row(Protocol):
    """What all rows of stages have: which stage, and of what."""

    @property
    def stage(self) -> str:
        """Its name."""

    @property
    def name(self) -> str:
        """Of what."""


class Ended(Row, Protocol):
    """What a row of a run says as well: version, whether it was cached, seconds, bytes, and why it was computed."""

    @property
    def version(self) -> str:
        """16 hexadecimal digits."""

    @property
    def cached(self) -> bool:
        """Whether it was found."""

    @property
    def seconds(self) -> float:
        """Of the check, or of the computation."""

    @property
    def bytes(self) -> int:
        """Of its files."""

    @property
    def reason(self) -> str:
        """Why it was computed; empty when cached."""


@dataclass(frozen=True)
class Shown:
    """What is shown of one row, or of several as one: these have no version."""

    stage: str
    name: str
    version: str
    cached: bool
    seconds: float
    bytes: int
    reason: str


R = TypeVar("R", bound=Row)


def split_of(row: Row) -> str | None:
    """Return what rows of a stage have to share to be shown as one: the split of a part; None: they are shown alone."""
    if row.stage in FILES:
        return ""
    split, _, shard = row.name.partition(" ")
    return split if row.stage in (*PARTS, *BUNDLES) and shard else None


def grouped(rows: Iterable[R]) -> list[list[R]]:
    """Return rows in their order, those that are shown as one together; every other one alone."""
    groups = list[list[R]]()
    for row in rows:
        of = split_of(row)
        if of is not None and groups and (groups[-1][0].stage, split_of(groups[-1][0])) == (row.stage, of):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [part for group in groups for part in ([group] if len(group) >= MANY else ([row] for row in group))]


def words_of(stage: str, split: str, count: int, total: int, cached: int) -> str:
    """
    Say what such rows are of: `train: 100 parts, 99 cached`; `204 files` where all are in one state.

    Args: count, total: rows that are there, and that there will be; cached: those of them that were found.
    """
    of = f"{count} of {counted(total, _unit(stage))}" if count < total else counted(total, _unit(stage))
    state = f", {cached} cached" if 0 < cached < count else ""
    return f"{split}: {of}{state}" if split else f"{of}{state}"


def shown(rows: Sequence[Ended]) -> Shown:
    """Return what is shown of rows as one, or of one alone; see `grouped`."""
    first = rows[0]
    if len(rows) == 1:
        return Shown(first.stage, first.name, first.version, first.cached, first.seconds, first.bytes, first.reason)
    told = [(name_in(row), row.reason) for row in rows if not row.cached]
    name = words_of(first.stage, split_of(first) or "", len(rows), len(rows), len(rows) - len(told))
    seconds, size = sum(row.seconds for row in rows), sum(row.bytes for row in rows)
    return Shown(first.stage, name, "", not told, seconds, size, reasons_of(told) if told else "")


def name_in(row: Row) -> str:
    """Return what a row is of, less what the words of its group say: of a part the shard."""
    return row.name.partition(" ")[2] if row.stage in (*PARTS, *BUNDLES) else row.name


def reasons_of(told: Sequence[tuple[str, str]]) -> str:
    """Say why rows of a group were computed: once where it is one reason for all. Args: told: name and reason."""
    if len({reason for _, reason in told}) == 1 and len(told) > 1:
        return told[0][1]
    more = len(told) - NAMED
    named = "; ".join(f"{name}: {reason}" if reason else name for name, reason in told[:NAMED])
    return f"{named}; and {more} more" if more > 0 else named


def tell_parts(data: Dataset) -> frozenset[tuple[str, str]]:
    """
    Tell whoever shows a run of what each stage will be called, so that it can say when a stage is complete.

    Returns: the calls that are so many that those found in the store need no task: stage, and of what.
    """
    from flows.bundling import KINDS, spans_of  # inside: what shows runs does without the stages

    files = [file.name for file in data.files]
    parts = {name: [part.of for part in each.parts] for name, each in data.splits.items()}
    spans = {name: spans_of(each) for name, each in data.splits.items()}
    bundles = {name: [f"{span.of} {kind}" for span in of_split for kind in KINDS] for name, of_split in spans.items()}
    expected: dict[str, list[str]] = dict.fromkeys(FILES, files)
    expected[PARSE] = [of for name, of_split in parts.items() for of in of_split or [name]]
    expected[PROFILE] = [of for of_split in parts.values() for of in of_split]
    expected |= {stage: [of for of_split in bundles.values() for of in of_split] for stage in BUNDLES}
    expected[VALIDATE] = [*data.splits]
    for stage, names in expected.items():
        if names:
            emit(PartsExpected(stage, "", frozenset(names)))
    if not any(parts.values()):
        return frozenset()
    alike = [(stage, files) for stage in FILES]
    alike += [(stage, of_split) for stage in PARTS for of_split in parts.values()]
    alike += [(stage, of_split) for stage in BUNDLES for of_split in bundles.values()]
    return frozenset((stage, name) for stage, names in alike if len(names) >= MANY for name in names)


def _unit(stage: str) -> str:
    return "file" if stage in FILES else "bundle" if stage in BUNDLES else "part"
