"""
The store's promises together, as a state machine: whatever people, faults and clean-ups do to it in whatever order,
it never loses what something holds, and never serves what does not match its manifest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from artifacts.archive.audit import Auditor
from artifacts.archive.collect import collect
from artifacts.archive.names import Names
from artifacts.archive.runs import list_runs
from artifacts.run_record import Record
from artifacts.store.publishing import restore
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.errors import ArtifactDamaged, StoreError, UsageError
from tests.faults.disk import Crash, CrashingDisk, using
from tests.faults.dying import KILLED, Runner

Artifact = tuple[str, str]
SEEDS = st.integers(1, 3)
REFRESH = st.sampled_from([(), (), ("download",), ("train",)])
STEPS = st.integers(0, 130)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def artifact_of(subject: str) -> Artifact | None:
    """Return the artifact that a problem is about; None where it is about a name."""
    kind, *artifact = subject.split("/")
    return (artifact[0], artifact[1]) if kind == "artifacts" else None


def seed_of(record: Record) -> int:
    """Return the seed that a run was asked for."""
    return RunRecord.of(record).seed


class Promises(RuleBasedStateMachine):
    """A store, and what a person who looks on knows of it."""

    runner: Runner

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="idxflow-promises-")
        self.home = Path(self.folder.name) / "home"
        self.used: dict[int, frozenset[Artifact]] = {}
        """By seed, the artifacts of its runs: versions do not depend on when or how often one runs."""
        self.content: dict[Artifact, str] = {}
        self.spoilt: set[Artifact] = set()
        """What somebody has tampered with since it was last made."""
        self.owed: set[Artifact] = set()
        """What the last clean-up had to leave."""

    def teardown(self) -> None:
        self.folder.cleanup()

    @property
    def store(self) -> Store:
        return Store(self.home)

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        self.home.mkdir()
        self.run(seed, ())

    @rule(seed=SEEDS, refresh=REFRESH)
    def run(self, seed: int, refresh: tuple[str, ...]) -> None:
        """Run to the end: whatever was done to the store before, it succeeds and has the right content."""
        assert self.runner.run(self.home, seed=seed, refresh=refresh)[0] == 0
        self.learn(seed)

    def learn(self, seed: int) -> None:
        """Look at what a run left that came to its end."""
        record = next(
            record for record in list_runs(self.store) if seed_of(record) == seed and record.state == "completed"
        )
        used = frozenset((row.stage, row.version) for row in record.stages)
        assert self.used.setdefault(seed, used) == used
        for row in record.stages:
            self.content[row.stage, row.version] = f"{seed} one two" if row.stage == "train" else row.name
        self.spoilt -= used
        for artifact in used:
            assert self.served(artifact) == self.content[artifact]

    @rule(seed=SEEDS, refresh=REFRESH, at=STEPS)
    def crash(self, seed: int, refresh: tuple[str, ...], at: int) -> None:
        """Kill a run right before some step; it may have ended before."""
        before = {record.id for record in list_runs(self.store)}
        code, _ = self.runner.run(self.home, at, seed, refresh)
        assert code in (0, KILLED)
        if code == 0 or self.has_completed(seed, before):
            self.learn(seed)

    @rule(name=st.sampled_from(["champion", "other"]), seed=SEEDS)
    def alias(self, name: str, seed: int) -> None:
        """Name a model: refused only where it is gone or somebody tampered with it."""
        for model in self.models(seed):
            self.allow_missing(model, partial(Names(self.store).set_alias, name, *model, NOW))

    @rule(seed=SEEDS)
    def pin(self, seed: int) -> None:
        """Pin a model."""
        for model in self.models(seed):
            self.allow_missing(model, partial(Names(self.store).pin_artifact, *model, "", NOW))

    @rule()
    def forget(self) -> None:
        """Take the first alias and the first pin away."""
        names = Names(self.store)
        for alias in names.aliases()[:1]:
            names.remove_alias(alias.name, NOW)
        for pin in names.pins()[:1]:
            names.unpin(pin.stem.partition("-")[2])
        self.owed.clear()

    @rule(keep=st.integers(0, 2))
    def clean_up(self, keep: int) -> None:
        """Clean up; from then on what is held is owed."""
        self.owed = self.held(keep) & self.present()
        self.collect(keep)

    @rule(keep=st.integers(0, 2), at=st.integers(0, 60))
    def crash_a_clean_up(self, keep: int, at: int) -> None:
        """Kill a clean-up right before some step."""
        self.owed = self.held(keep) & self.present()
        try:
            with using(CrashingDisk(at)):
                self.collect(keep)
        except Crash:
            pass

    @rule(
        choice=st.integers(0, 10_000), position=st.integers(0, 10_000), how=st.sampled_from(["flip", "cut", "delete"])
    )
    def corrupt(self, choice: int, position: int, how: str) -> None:
        """Flip a byte of a stored file, cut it short, or delete it."""
        files = sorted(path for path in self.home.glob("artifacts/*/[0-9a-f]*/*") if path.is_file())
        if not files:
            return
        path = files[choice % len(files)]
        content = bytearray(path.read_bytes())
        path.chmod(0o644)
        match how:
            case "flip" if content:
                content[position % len(content)] ^= 1 + position % 255
                path.write_bytes(content)
            case "delete":
                path.unlink()
            case _:
                path.write_bytes(content[: position % (len(content) + 1)])
        self.spoilt.add((path.parent.parent.name, path.parent.name))

    @rule(repair=st.booleans())
    def verify(self, repair: bool) -> None:
        """Check everything: only what was tampered with is named, and after a repair nothing."""
        found = self.audit(repair=repair)
        named = {artifact_of(problem.subject) for problem in found.problems}
        assert named - {None} <= self.spoilt
        if repair:
            assert all(problem.subject.startswith(("alias", "pin")) for problem in self.audit().problems)

    @invariant()
    def what_is_served_is_true(self) -> None:
        """Whatever the store serves has the content that it was made with."""
        for artifact in self.present():
            served = self.served(artifact)
            assert served in (None, self.content.get(artifact, served))
            assert served is not None or artifact in self.spoilt

    @invariant()
    def what_is_held_is_there(self) -> None:
        """What a clean-up had to leave is there, unless somebody tampered with it."""
        for artifact in self.owed - self.spoilt:
            assert self.served(artifact) == self.content[artifact]

    def collect(self, keep: int) -> None:
        """Clean up, which is refused where tampering leaves open what is held."""
        try:
            collect(self.store, keep=keep, older_than=None, now=datetime.now(UTC))
        except StoreError as error:
            assert "Nothing was taken away" in error.way_out
            assert self.spoilt

    def audit(self, *, repair: bool = False) -> Any:
        return Auditor(self.store, everything=True, repair=repair).run(datetime.now(UTC))

    def allow_missing(self, artifact: Artifact, change: Any) -> None:
        """Change a name, which may be refused for what is gone or was tampered with."""
        try:
            change()
        except (UsageError, ArtifactDamaged):
            assert artifact in self.spoilt or artifact not in self.present()

    def models(self, seed: int) -> Iterator[Artifact]:
        yield from (artifact for artifact in self.used.get(seed, ()) if artifact[0] == "train")

    def has_completed(self, seed: int, before: set[str]) -> bool:
        """Tell whether a run that is none of `before` came to its end, though it may have been killed right after."""
        records = [record for record in list_runs(self.store) if record.id not in before]
        return any(seed_of(record) == seed and record.state == "completed" for record in records)

    def present(self) -> set[Artifact]:
        """Return what is committed, also what lies aside for a run that was killed while it rebuilt it."""
        store = self.store
        for path in store.artifacts.glob("*/.replaced-*"):
            restore(store, path.parent.name, path.name.removeprefix(".replaced-"))
        return {artifact for artifact in store.versions() if (store.folder(*artifact) / "record.json").exists()}

    def held(self, keep: int) -> set[Artifact]:
        """Return what names and the last completed runs hold, with what models were made from."""
        completed = [seed_of(record) for record in list_runs(self.store) if record.state == "completed"]
        held = set().union(*(self.used[seed] for seed in completed[:keep]))
        named = Names(self.store).kept().artifacts
        for used in self.used.values():
            if used & named:
                held |= used
        return held & self.content.keys()

    def served(self, artifact: Artifact) -> str | None:
        """Return what a run would take of an artifact, and None where it would rebuild it."""
        store = self.store
        path = store.folder(*artifact)
        before = sorted(each.name for each in path.glob("*"))
        try:
            found = store.inspect(*artifact, fully=True)
        except Exception as damage:
            assert type(damage).__name__ == "Damage", before
            return None
        name = "model.keras" if artifact[0] == "train" else "file"
        return found.ref.file(name).read_text() if found else None


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("examples", "steps"),
    [(3, 8), pytest.param(30, 25, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])],
    ids=["short", "long"],
)
def test_the_store_keeps_its_promises(examples: int, steps: int) -> None:
    """Runs, refreshes, names, clean-ups, crashes, tampering and checks in any order: nothing held is lost, or false."""
    with Runner() as runner:
        Promises.runner = runner
        run_state_machine_as_test(
            Promises,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
