"""artifacts/engine/foreign.py: a library's exception ends at the stage, and nothing that it holds is kept anywhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.filters import FlowRunFilterId as Id

from artifacts.engine.foreign import own_error
from artifacts.engine.stopping import Stopped
from flows.run_record import RunRecord
from schemas.addresses import fill
from schemas.errors import ArtifactDamaged, StoreError, UnforeseenError
from tests.artifacts.counting import counting

SECRET = "s3cr\u20act/w0rd:7d2q"


@pytest.mark.usefixtures("prefect_server")
def test_what_a_library_raises_is_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the states of task and flow, nor the log, nor the record hold an argument of a stage's exception."""
    monkeypatch.setenv("COUNTING_SECRET", SECRET)
    fill("http://alice:${COUNTING_SECRET}@host/", os.environ)
    with pytest.raises(UnforeseenError, match="ValueError") as failed:
        counting(names=("foreign",))
    assert failed.value.__context__ is None
    (path,) = (home / "runs").glob("*.json")
    record = RunRecord.model_validate_json(path.read_bytes())
    assert record.error == str(failed.value)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(record.flow_run)  # type: ignore[arg-type]
        kept = [run.state, *(task.state for task in client.read_task_runs(flow_run_filter=only(record)))]
        logged = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])))
    text = repr(kept) + "".join(each.message for each in logged) + path.read_text()
    assert "UnforeseenError" in text
    for part in (SECRET, repr(SECRET)[1:-1], "s3cr", "7d2q"):
        assert part not in text


def only(record: RunRecord) -> FlowRunFilter:
    """The filter of one flow run."""
    return FlowRunFilter(id=Id(any_=[record.flow_run]))


def test_our_own_errors_stay_what_they_are() -> None:
    """Ours keep type and text, and lose what led to them; a run that was stopped is no error."""
    damaged = ArtifactDamaged("x", expected="8", found="7", way_out="y.")
    try:
        raise damaged from OSError(5, SECRET)
    except ArtifactDamaged as error:
        assert own_error("download x", error) is damaged
    assert damaged.__cause__ is damaged.__context__ is None
    stopped = Stopped()
    assert own_error("download x", stopped) is stopped


def test_the_traceback_is_logged_for_debugging_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """The type, the text and the lines of code are in the log; an address has lost its password and query."""
    try:
        raise OverflowError(f"http://a:{SECRET.replace('/', '')}@h/y?t=1 is \x1b[2J odd")
    except OverflowError as error:
        with caplog.at_level(logging.DEBUG, "idxflow.run"):
            found = own_error("parse train", error)
    assert str(found).startswith(
        "parse train: expected no error but those that are foreseen, found OverflowError (http"
    )
    assert "http://h/y is \\x1b[2J odd" in str(found)
    assert "Traceback" in caplog.text
    assert "w0rd" not in caplog.text + str(found)


def test_a_long_text_is_cut() -> None:
    """A library may repeat all that it was given."""
    assert len(str(own_error("x", ValueError("y" * 10**6)))) < 1000


def test_what_is_said_of_the_disk_stays(home: Path) -> None:
    """An error of the store is ours."""
    error = StoreError("x", expected="8", found="7", way_out="y.")
    assert own_error("x", error) is error
