"""Recorded flows on a real Prefect server: what is cached, what is healed, what is recorded."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterFlowRunId

from artifacts.archive.runs import read_run
from artifacts.engine import execution
from artifacts.engine.recorder import recording
from artifacts.run_record import Record
from artifacts.store import integrity
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.errors import BadIdx, StoreError, UnforeseenError
from schemas.events import Event, StageChanged, StageFailed, listening
from schemas.training import Training
from tests.artifacts.counting import SLOW, counting, fetch
from tests.processes import open_python, served_environment, until

pytestmark = pytest.mark.usefixtures("prefect_server")


def run(**parameters: Any) -> RunRecord:
    """Run the flow; mypy sees through two decorators only so far."""
    record = counting(**parameters)
    assert isinstance(record, RunRecord)
    return record


def counted(home: Path) -> list[str]:
    """List what has been computed since the last call, sorted."""
    path = Path(f"{home}.count")
    lines = sorted(path.read_text().splitlines()) if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


ALL = ["download one", "download two", "train"]


def test_a_second_run_computes_nothing(home: Path) -> None:
    """Everything is computed once; the second run finds it, and says so."""
    first, second = run(), run()
    assert counted(home) == ALL
    assert [stage.cached for stage in first.stages] == [False] * 3
    assert [stage.cached for stage in second.stages] == [True] * 3
    assert [(stage.stage, stage.name) for stage in second.stages] == [
        ("download", "one"),
        ("download", "two"),
        ("train", ""),
    ]
    assert second.model is not None
    assert Path(second.model).read_text() == "123 one two"


def test_a_stage_that_failed_finds_what_it_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints stay until their version is committed, serve no other one, and not one that is rebuilt on request."""
    monkeypatch.setenv("JOIN_FAILS", "1")
    for refresh in ((), (), ("train",)):
        with pytest.raises(BadIdx):
            run(refresh=refresh)
    with pytest.raises(BadIdx):
        run(training=Training(seed=7))
    assert [line for line in counted(home) if "train" in line] == ["train", "train", "train", "train, going on"]
    monkeypatch.delenv("JOIN_FAILS")
    run()
    assert counted(home) == ["train, going on"]
    assert len(list(home.glob("artifacts/train/.checkpoints-*"))) == 1  # that of the other seed


def test_the_dashboard_shows_cached_states_and_telling_names(home: Path) -> None:
    """On the server the task runs are named by stage and subject, and a hit is a state named Cached."""
    run()
    record = run()
    wanted = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[UUID(record.flow_run)]))
    cached = dict.fromkeys(("download one", "download two", "train"), "Cached")
    with get_client(sync_client=True) as client:

        def states() -> dict[str, str | None]:
            return {task.name: task.state_name for task in client.read_task_runs(task_run_filter=wanted)}

        until(lambda: states() == cached, 20, states)  # they reach the server as events, after the flow has ended


def test_the_api_is_not_asked_what_becomes_of_an_input(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage waits in its own process for the artifact that it takes: no request tells it when."""
    asked: list[UUID] = []
    ask = SyncPrefectClient.read_task_run

    def noted(client: SyncPrefectClient, task_run_id: UUID) -> Any:
        asked.append(task_run_id)
        return ask(client, task_run_id)

    monkeypatch.setattr(SyncPrefectClient, "read_task_run", noted)
    assert [len(run(copied=True).stages) for _ in range(2)] == [5, 5]
    assert not asked


def test_every_computed_artifact_has_its_record(home: Path) -> None:
    """What a run calls computed is committed."""
    for stage in run().stages:
        assert json.loads((Path(stage.path) / "record.json").read_bytes())["prefect"]["serializer"]["type"] == "json"


def test_a_parameter_recomputes_only_what_takes_it(home: Path) -> None:
    """Another seed trains again and downloads nothing; the first seed is still there."""
    run()
    counted(home)
    run(training=Training(seed=7))
    assert counted(home) == ["train"]
    run()
    assert counted(home) == []


def test_a_refreshed_stage_is_computed_anew(home: Path) -> None:
    """Refreshing a stage computes it, finds equal content, and leaves what follows cached."""
    run()
    counted(home)
    record = run(refresh=("download",))
    assert counted(home) == ALL[:2]
    assert [stage.cached for stage in record.stages] == [False, False, True]


def damage(home: Path, *, hidden: bool) -> Path:
    """Change the file of one download; hidden: so that it looks as when it was hashed."""
    path = next(path for path in home.glob("artifacts/download/*/file") if path.read_text() == "two")
    path.chmod(0o644)
    path.write_text("TWO")
    if hidden:
        time.sleep(0.05)  # a note taken at once would not be believed
        (path.parent / "hashed.json").write_text(json.dumps({"file": integrity.identity(path)}))
    return path


def test_a_damaged_artifact_is_said_quarantined_and_rebuilt(home: Path) -> None:
    """A changed byte in a stored file costs that artifact alone; what follows stays cached."""
    run()
    counted(home)
    path = damage(home, hidden=False)
    record = run()
    assert counted(home) == ["download two"]
    assert path.read_text() == "two"
    assert list(home.glob("quarantine/download/*/*/file"))
    assert any("expected SHA-256" in warning and "quarantine" in warning for warning in record.warnings)


def test_damage_that_only_a_full_hash_sees_is_healed_in_the_same_run(home: Path) -> None:
    """A stage that computes hashes its inputs first; a damaged one is rebuilt and the run goes on."""
    run()
    counted(home)
    damage(home, hidden=True)
    record = run(training=Training(seed=7))
    assert counted(home) == ["download two", "train"]
    assert record.state == "completed"
    assert record.model is not None
    assert Path(record.model).read_text() == "7 one two"
    assert [stage.cached for stage in record.stages] == [True, False, False]


def test_a_refresh_outlives_a_heal(home: Path) -> None:
    """Where one of a stage's artifacts stops an attempt, the others are rebuilt all the same, each once."""
    run(copied=True)
    counted(home)
    damage(home, hidden=True)
    record = run(refresh=("parse",), copied=True)
    assert counted(home) == ["download two", "parse one", "parse two"]
    assert {(row.stage, row.name): row.cached for row in record.stages} == {
        ("download", "one"): True,
        ("download", "two"): False,
        ("parse", "one"): False,
        ("parse", "two"): False,
        ("train", ""): True,
    }


def plant(found: object) -> object:
    """Be what a forged record would have called."""
    Path(os.environ["IDXFLOW_HOME"] + ".planted").touch()
    return found


@pytest.mark.parametrize("field", ["serializer", "decoder"])
def test_a_record_that_names_another_serializer_runs_nothing(home: Path, field: str) -> None:
    """A record that asks for pickle, or for a decoder of its own, is refused and never executed."""
    run()
    counted(home)
    folder = next(home.glob("artifacts/train/*"))
    record = json.loads((folder / "record.json").read_bytes())
    if field == "serializer":
        record["prefect"]["serializer"] = {"type": "pickle", "picklelib": "cloudpickle"}
    else:
        record["prefect"]["serializer"] = {"type": "json", "object_decoder": f"{__name__}.plant"}
    (folder / "record.json").write_text(json.dumps(record))
    result = run()
    assert counted(home) == ["train"]
    assert not Path(f"{home}.planted").exists()
    assert any("serializer that is not idxflow's" in warning for warning in result.warnings)
    assert Store(home).quarantined.reason("train", folder.name)


def test_a_moved_store_stays_cached(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records hold no path: a store that is moved is all cached where it is now."""
    run()
    counted(home)
    shutil.move(home, tmp_path / "elsewhere")
    monkeypatch.setenv("IDXFLOW_HOME", str(tmp_path / "elsewhere"))
    record = run()
    assert all(stage.cached for stage in record.stages)
    assert record.model is not None
    assert record.model.startswith(str(tmp_path / "elsewhere"))


def test_the_record_says_what_voids_the_accuracy(home: Path) -> None:
    """What the metrics give reason to say stands in the record, of a run that computed nothing too."""
    for _ in range(2):
        record = run()
        assert [caveat.kind for caveat in record.caveats] == ["leak"]
        written = json.loads((home / "runs" / f"{record.id}.json").read_bytes())
        assert written["caveats"] == [caveat.model_dump() for caveat in record.caveats]


def test_the_first_error_is_raised_and_recorded(home: Path) -> None:
    """A stage's own error comes out, not that of the stages that wait for it, and the record says failed."""
    with pytest.raises(BadIdx, match="bad, late: expected good"):
        run(names=("one", "bad, late"))  # it fails once the other one has been noted
    record = RunRecord.model_validate_json(next(home.glob("runs/*.json")).read_bytes())
    assert record.state == "failed"
    assert record.error is not None
    assert record.error.startswith("bad, late: expected good")
    assert [stage.name for stage in record.stages] == ["one"]
    assert not list(home.glob("artifacts/*/.staging*"))


def test_what_failed_alike_is_told_in_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several stages that fail in the same way one is the error, the others are named in one warning."""
    monkeypatch.setattr("tests.artifacts.counting.MEETING", threading.Barrier(2))
    one, other = "bad together", "bad too, together"
    with pytest.raises(BadIdx, match="expected good"):
        run(names=(one, other))
    record = RunRecord.model_validate_json(next(home.glob("runs/*.json")).read_bytes())
    assert len(record.warnings) == 1
    assert sorted(record.warnings[0].split(": failed as ")) in ([one, f"{other} did"], [f"{one} did", other])


def test_a_run_that_has_failed_waits_for_nothing(home: Path) -> None:
    """It ends with the first error while another stage works; nothing more is begun, and what is late is recorded."""
    shown: list[Event] = []
    begun = time.monotonic()
    with listening(shown.append), pytest.raises(BadIdx):
        run(names=("slow", "bad meanwhile"), copied=True)  # it fails once the other one is at work
    assert time.monotonic() - begun < SLOW
    failed = [(event.stage, event.name) for event in shown if isinstance(event, StageFailed)]
    assert failed == [("download", "bad meanwhile")]
    path = next(home.glob("runs/*.json"))
    until(lambda: RunRecord.model_validate_json(path.read_bytes()).stages, 10)
    record = RunRecord.model_validate_json(path.read_bytes())
    assert (record.state, [stage.name for stage in record.stages]) == ("failed", ["slow"])
    assert counted(home) == ["download bad meanwhile", "download slow"]


def test_what_tells_how_far_it_is_stops_when_the_run_has_failed(home: Path) -> None:
    """A long download ends with its next step, leaves nothing, and its end is no error of the run."""
    with pytest.raises(BadIdx):
        run(names=("endless", "bad"))
    until(lambda: not list(home.glob("artifacts/download/.staging*")), 2)
    record = RunRecord.model_validate_json(next(home.glob("runs/*.json")).read_bytes())
    assert (record.warnings, record.stages) == ((), ())


def test_what_is_odd_about_a_model_is_in_each_record(home: Path) -> None:
    """What training found odd is a warning of the run that trained, and of one that took the model as it was."""
    for _ in range(2):
        record = run()
        assert record.warnings == ("They are odd",)
        assert str(record.held_out) == "1 of 10 train rows, the last ones"


def test_warnings_end_up_in_the_record_once(home: Path) -> None:
    """What is logged as a warning under idxflow is in the record; nothing is left attached afterwards."""
    before = list(logging.getLogger("idxflow").handlers)
    assert run(names=("odd",)).warnings == ("odd: it is odd", "They are odd")
    assert logging.getLogger("idxflow").handlers == before


def test_runs_beside_each_other_keep_their_own_warnings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two runs in one process each records what its own stages warned of, and nothing of the other's."""
    monkeypatch.setattr("tests.artifacts.counting.MEETING", threading.Barrier(2))
    with ThreadPoolExecutor() as pool:
        records = [pool.submit(run, names=(name,)) for name in ("odd", "odd too")]
    assert [record.result().warnings for record in records] == [
        ("odd: it is odd", "They are odd"),
        ("odd too: it is odd", "They are odd"),
    ]


def test_a_commit_that_fails_fails_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage whose record cannot be written has failed, and so has the run."""

    def full(*_: object) -> None:
        raise StoreError("store", expected="space", found="No space left on device", way_out="Free some.")

    monkeypatch.setattr(execution, "commit", full)
    with pytest.raises(StoreError, match="No space left"):
        run()


def test_what_a_killed_run_had_used_is_known(home: Path) -> None:
    """Before a stage is computed the record has what was found cached and what was computed, in the graph's order."""
    run()
    seen: list[Record] = []

    def noted(event: Event) -> None:
        if isinstance(event, StageChanged) and (event.stage, event.state) == ("train", "started"):
            (path,) = home.glob("runs/*.stages")
            seen.extend(filter(None, [read_run(Store(home), path.stem)]))

    with listening(noted):
        run(training=Training(seed=7))
        run(names=("one", "two", "three"))
    told = [[(row.name, row.cached) for row in record.stages] for record in seen]
    assert told == [[("one", True), ("two", True)], [("one", True), ("two", True), ("three", False)]]
    assert not list(home.glob("runs/*.stages"))


def test_a_library_s_exception_is_nobody_s_context(home: Path) -> None:
    """What a flow raises outside of its attempts ends as ours as well, and its traceback has no other exception."""

    @flow(name="odd")
    def odd() -> None:
        with recording(dataset="two"):
            raise ValueError("a secret")

    with pytest.raises(UnforeseenError) as raised:
        odd()
    assert "ValueError: a secret" not in "".join(traceback.format_exception(raised.value))


def test_a_stage_runs_only_inside_a_recorded_flow() -> None:
    """Called outside of a flow a stage says how it is meant to be used."""
    with pytest.raises(RuntimeError, match="inside a recorded flow"):
        fetch("one")


def start(home: Path, seed: int, sleep: float = 0, names: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start the flow as a process of its own on the same server."""
    environment = served_environment(IDXFLOW_HOME=str(home), COUNTING_SLEEP=str(sleep))
    return open_python("-m", "tests.artifacts.counting", str(seed), *names, environment=environment)


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_is_believed(home: Path) -> None:
    """After kill -9 in the middle of a stage the next run computes it, and the leftover folder goes."""
    process = start(home, 1, sleep=30)
    until(lambda: len(list(home.glob("artifacts/download/.staging*"))) == 2, 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert counted(home) == ALL[:2]
    assert run(training=Training(seed=1)).state == "completed"
    assert counted(home) == ALL
    assert not list(home.glob("artifacts/*/.staging*"))
