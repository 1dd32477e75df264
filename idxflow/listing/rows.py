"""A run as a row of a list, and runs that differ in their seed alone as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from artifacts.archive.runs import RunState, state_of
from artifacts.keys import canonical_json
from artifacts.store.store import Store
from flows.differing import SEED, differing
from flows.run_record import RunRecord


class Row(BaseModel):
    """
    One run of the list.

    Args: seconds: what it took; since its start while it is running; None when it was killed.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    started: str = Field(description="UTC, ISO 8601")
    dataset: str
    dataset_id: str = Field(description="identifies it among data sets of that name")
    profile: str
    differs: dict[str, Any] = Field(default_factory=dict, description="what it has otherwise than its profile")
    state: RunState
    seconds: float | None
    stages: int
    computed: tuple[str, ...] = Field(description="names of the stages that were computed and not cached")
    order: tuple[str, ...] = Field(default=(), exclude=True, description="the stages of its graph, in their order")
    training: dict[str, Any] = Field(default_factory=dict, exclude=True, description="its whole configuration")
    test_accuracy: float | None
    interval: tuple[float, float] | None = Field(default=None, description="95 % interval of the test accuracy")
    test_loss: float | None = None
    train_accuracy: float | None = None
    caveats: tuple[str, ...] = Field(default=(), description="what voids or weakens the test accuracy, a sentence each")
    tuned: str = Field(default="", description="of a run that tuned: what it did, in a few words")

    @property
    def kind(self) -> bytes:
        """What runs have in common that differ in their seed alone."""
        others = {name: value for name, value in self.differs.items() if name != SEED}
        return canonical_json([self.dataset_id or self.dataset, self.profile, others])


@dataclass(frozen=True)
class Line:
    """
    A line of the list: one run, or those of one configuration with several seeds.

    Args: rows: of the runs, newest first.
    """

    rows: tuple[Row, ...]

    @property
    def newest(self) -> Row:
        """The newest of its runs."""
        return self.rows[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that its runs had, each once."""
        return tuple(dict.fromkeys(seed_of(row) for row in self.rows))

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The test accuracy of each seed, as the newest run with it has it."""
        found: dict[int, float] = {}
        for row in self.rows:
            if row.test_accuracy is not None:
                found.setdefault(seed_of(row), row.test_accuracy)
        return tuple(found.values())

    @property
    def accuracy(self) -> float | None:
        """The test accuracy, of several seeds their mean."""
        return mean(self.accuracies) if self.accuracies else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds (n - 1); None of one seed."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def differs(self) -> dict[str, Any]:
        """What its runs have otherwise than their profile; without the seed, where they have several."""
        own = self.newest.differs
        return own if len(self.seeds) == 1 else {name: value for name, value in own.items() if name != SEED}


def seed_of(row: Row) -> int:
    """Return the seed of a run."""
    return int(row.training.get(SEED, 0))


def lines_of(rows: Sequence[Row], *, each: bool = False) -> list[Line]:
    """
    Put runs together that differ in their seed alone, each such line in the place of its newest run.

    Those that completed with a test accuracy, that is: others stay lines of their own, and so do runs of one seed.

    Args: rows: newest first.  each: a line for each run.
    """
    kinds: dict[bytes, list[Row]] = {}
    for row in rows if not each else ():
        if row.state == "completed" and row.test_accuracy is not None:
            kinds.setdefault(row.kind, []).append(row)
    several = {kind: Line(tuple(found)) for kind, found in kinds.items() if len({seed_of(row) for row in found}) > 1}
    return list(_lines(rows, several))


def _lines(rows: Sequence[Row], several: dict[bytes, Line]) -> Iterator[Line]:
    told = set[str]()
    for row in rows:
        if row.id in told:
            continue
        line = several.get(row.kind)
        if line is None or row not in line.rows:
            yield Line((row,))
            continue
        told |= {one.id for one in line.rows}
        yield line


def row_of(store: Store, record: RunRecord, now: datetime) -> Row:
    """Sum up a run."""
    state = state_of(store, record)
    test, train = record.metrics.get("test"), record.metrics.get("train")
    return Row(
        id=record.id,
        started=record.started,
        dataset=record.dataset,
        dataset_id=record.identity,
        profile=record.profile,
        differs=differing(record.training),
        state=state,
        seconds=time_taken(record, state, now),
        stages=len(record.stages),
        computed=tuple(row.stage for row in record.stages if not row.cached),
        order=tuple(dict.fromkeys(row.stage for row in record.stages)),
        training=record.training,
        test_accuracy=test.accuracy if test else None,
        interval=test.interval if test else None,
        test_loss=test.loss if test else None,
        train_accuracy=train.accuracy if train else None,
        caveats=tuple(caveat.message for caveat in record.caveats),
        tuned=record.tuned,
    )


def time_taken(record: RunRecord, state: RunState, now: datetime) -> float | None:
    """Return the seconds that a run took, or has been running for; None for one that was killed: unknown."""
    if state == "running":
        return max((now - datetime.fromisoformat(record.started).astimezone()).total_seconds(), 0.0)
    return None if state == "killed" else record.seconds
