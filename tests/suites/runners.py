"""What every runner has to pass: threads of the flow, workers that were started for a run, a cluster at an address."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from artifacts.engine.execution import Execution
from artifacts.engine.stopping import Stopped
from artifacts.engine.workers import Executor, Threads
from artifacts.run_record import Record
from artifacts.store.holds import Hold
from artifacts.store.store import Store
from schemas.errors import ArtifactDamaged, BadIdx, IdxflowError, StoreError, TrainingDiverged, UnforeseenError
from schemas.events import Event, Progress, StageChanged, StageFailed, listening
from tests.artifacts.building import flip_unseen
from tests.processes import ending, open_python, served_environment, until
from tests.suites.processes import alive, below
from tests.suites.stages import STEPS, call_of, make, trial
from tests.suites.trials import Kept, program, trials

RUN = "c" * 12
BAR = 15.0
"""Seconds in which a run that is interrupted ends, and everything with it."""


class RunnerSuite:
    """The tests; who inherits it gives the fixtures `executor` and `runner`, its word for a program."""

    @pytest.fixture
    def notes(self, tmp_path: Path) -> str:
        """A file in which trials note that they begin."""
        path = tmp_path / "notes"
        path.touch()
        return str(path)

    @pytest.fixture
    def held(self, tmp_path: Path) -> Any:
        """A store that a run holds."""
        store = Store(tmp_path / "home")
        hold = Hold(store.holds, RUN)
        yield store
        hold.release()

    def execution(self, store: Store, notes: str, how: str, number: int = 0, **more: Any) -> Execution:
        """An execution of a trial, whose table is made."""
        table = Execution(store, RUN, RUN, make, {"name": "one"})().ref
        return Execution(store, RUN, RUN, trial, call_of(table, number, how, notes), **more)

    def test_it_does_what_a_thread_does(self, executor: Executor, held: Store, tmp_path: Path, notes: str) -> None:
        """The same version and the same content come of it as of a thread's, and a second time it is a hit."""
        other = Store(tmp_path / "other")
        done = executor.carry_out(self.execution(held, notes, "fine"), lambda: None)
        alike = Threads().carry_out(self.execution(other, notes, "fine"), lambda: None)
        assert (done.ref.version, done.ref.digest, done.row.cached) == (alike.ref.version, alike.ref.digest, False)
        assert executor.carry_out(self.execution(held, notes, "fine"), lambda: None).row.cached
        assert Path(notes).read_text().count("trial 0") == 2

    def test_what_a_run_calls_it_is_not_in_the_artifact(self, executor: Executor, held: Store, notes: str) -> None:
        """The row has the run's word for it, the manifest the stage's."""
        done = executor.carry_out(self.execution(held, notes, "fine", called="trial 9"), lambda: None)
        manifest = held.manifest("train", done.ref.version)
        assert manifest is not None
        assert (done.row.name, done.called, manifest.name) == ("trial 9", "trial 9", "its own 0")

    def test_warnings_come_with_what_was_done(self, executor: Executor, held: Store, notes: str) -> None:
        """What a stage warned of is told where the run is."""
        done = executor.carry_out(self.execution(held, notes, "odd"), lambda: None)
        assert done.warnings == ("trial 0 is odd",)

    def test_it_tells_how_far_it_is(self, executor: Executor, held: Store, notes: str) -> None:
        """Its start and its progress are emitted here, under what the run calls it, and in order up to the last."""
        shown: list[Event] = []
        execution = self.execution(held, notes, "slow", called="trial 7")
        with listening(shown.append):
            executor.carry_out(execution, lambda: None)
        started, *progress = shown
        assert isinstance(started, StageChanged)
        assert (started.stage, started.name, started.state) == ("train", "trial 7", "started")
        assert all(isinstance(event, Progress) and event.subject == "trial 7" for event in progress)
        steps = [event.done for event in progress if isinstance(event, Progress)]
        assert steps == sorted(steps)
        assert steps[-1] == STEPS
        assert len(steps) > 5

    @pytest.mark.parametrize(
        ("how", "kind", "words"),
        [
            ("diverges", TrainingDiverged, "trial 3: expected figures, found NaN. Take smaller steps."),
            ("foreign", UnforeseenError, "something of a library"),
            ("full", StoreError, "No space left on device"),
        ],
    )
    def test_errors_are_raised_as_they_were(
        self, executor: Executor, held: Store, notes: str, how: str, kind: type[IdxflowError], words: str
    ) -> None:
        """An error of ours arrives whole, one of a library's as ours, and nothing is left of the attempt."""
        execution = self.execution(held, notes, how, 3)
        with pytest.raises((kind, LookupError), match=words):
            executor.carry_out(execution, lambda: None)
        assert not list(held.hidden(".staging-"))

    def test_an_input_that_is_damaged_is_an_error(self, executor: Executor, held: Store, notes: str) -> None:
        """What is damaged is told, whoever meets it, and is in quarantine."""
        execution = self.execution(held, notes, "fine")
        table: Any = execution.arguments["table"]
        flip_unseen(held.folder("parse", table.version) / "file")
        with pytest.raises(ArtifactDamaged):
            executor.carry_out(execution, lambda: None)
        assert held.quarantined.reason("parse", table.version)

    def test_what_nobody_wants_is_not_begun(self, executor: Executor, held: Store, notes: str) -> None:
        """Where the run has no use for it any more nothing is computed; what is stored is taken all the same."""

        def unwanted() -> None:
            raise Stopped

        with pytest.raises(Stopped):
            executor.carry_out(self.execution(held, notes, "fine"), unwanted)
        assert not Path(notes).read_text()
        executor.carry_out(self.execution(held, notes, "fine"), lambda: None)
        assert executor.carry_out(self.execution(held, notes, "fine"), unwanted).row.cached

    def test_outcomes_come_in_the_order_of_the_calls(self, executor: Executor, home: Path, notes: str) -> None:
        """A trial that fails is an outcome in its place and a warning; the run completes, its record has the others."""
        shown: list[Event] = []
        with listening(shown.append):
            record, outcomes = trials(Kept(executor), notes, ("slow", "diverges", "fine", "foreign"))
        kinds = [type(outcome).__name__ for outcome in outcomes]
        assert kinds == ["Done", "TrainingDiverged", "Done", "UnforeseenError"]
        assert record.state == "completed"
        assert [(row.stage, row.name) for row in record.stages] == [
            ("parse", "one"),
            ("train", "trial 0"),
            ("train", "trial 2"),
        ]
        failed = {event.name: event.optional for event in shown if isinstance(event, StageFailed)}
        assert failed == {"trial 1": True, "trial 3": True}
        assert sum("train trial 1 failed: trial 1: expected figures" in said for said in record.warnings) == 1

    def test_what_is_no_outcome_ends_the_run(self, executor: Executor, home: Path, notes: str) -> None:
        """A full disk is no property of a trial: the run fails with it, and does not wait for the others."""
        begun = time.monotonic()
        with pytest.raises(StoreError, match="No space left"):
            trials(Kept(executor), notes, ("full", "slow", "slow", "slow"))
        assert time.monotonic() - begun < BAR
        (path,) = home.glob("runs/*.json")
        assert Record.model_validate_json(path.read_bytes()).state == "failed"

    def test_a_stage_that_fails_ends_the_trials_that_wait_for_it(
        self, executor: Executor, home: Path, notes: str
    ) -> None:
        """The run's error is that of the stage, and no trial is begun."""
        with pytest.raises(BadIdx):
            trials(Kept(executor), notes, ("fine", "fine"), name="bad")
        assert not Path(notes).read_text()

    def test_damage_is_healed_in_the_same_run(self, executor: Executor, home: Path, notes: str) -> None:
        """A trial whose table turns out damaged is no outcome: the table is rebuilt, and the trials are done."""
        trials(Kept(executor), notes, ("fine",))
        (path,) = home.glob("artifacts/parse/*/file")
        flip_unseen(path)
        record, outcomes = trials(Kept(executor), notes, ("fine", "odd"))
        assert path.read_text() == "one"
        assert [type(outcome).__name__ for outcome in outcomes] == ["Done", "Done"]
        assert [row.cached for row in record.stages] == [False, True, False]

    def test_two_trials_of_one_artifact_are_two_rows(self, executor: Executor, home: Path, notes: str) -> None:
        """What two trials come to is computed once, and stands in the record under both of their names."""
        record, outcomes = trials(Kept(executor), notes, ("fine", "fine"), alike=True)
        first, second = outcomes
        assert not isinstance(first, IdxflowError)
        assert not isinstance(second, IdxflowError)
        assert first.ref == second.ref
        assert [row.name for row in record.stages] == ["one", "trial 0", "trial 1"]
        assert sorted(row.cached for row in record.stages[1:]) == [False, True]
        assert Path(notes).read_text().count("trial 0") == 1

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [2, 15])
    def test_signals_end_everything(self, runner: str, home: Path, notes: str, number: int) -> None:
        """Ctrl-C and SIGTERM in the middle of trials end the run and its processes in time, and its record says so."""
        environment = served_environment(IDXFLOW_HOME=str(home))
        with ending(open_python(*program(runner, notes, *["endless"] * 5), environment=environment)) as process:
            until(lambda: Path(notes).read_text(), 60)
            mine = below(process.pid)
            began = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            assert time.monotonic() - began < BAR
        assert process.returncode == 130, said
        assert said.splitlines()[-1] in {"Interrupted", "Terminated"}
        until(lambda: not alive(mine), BAR, lambda: alive(mine))
        (path,) = home.glob("runs/*.json")
        assert Record.model_validate_json(path.read_bytes()).state == "interrupted"


class TurnSuite(RunnerSuite):
    """What those pass too that have all workers to themselves; in a cluster at an address the order is Dask's."""

    def test_what_was_asked_for_first_begins_first(self, executor: Executor, held: Store, notes: str) -> None:
        """Of those that wait for a worker the lowest turns are next, whichever came first."""
        waiting, turns = [self.execution(held, notes, "fine", 10 + turn, turn=turn) for turn in range(6)], range(6)
        with ThreadPoolExecutor(8) as pool:
            for number in range(2):
                pool.submit(executor.carry_out, self.execution(held, notes, "slow", number), lambda: None)
            until(Path(notes).read_text, 60)
            for turn in reversed(turns):
                pool.submit(executor.carry_out, waiting[turn], lambda: None)
                time.sleep(0.05)
        begun = [int(line.split()[1]) - 10 for line in Path(notes).read_text().splitlines()]
        begun = [turn for turn in begun if turn >= 0]
        assert sorted(begun) == [*turns]
        assert {0, 1} == {*begun[:2]}  # there are two workers, or one
