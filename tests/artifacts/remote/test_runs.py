"""What a run has of its remote: hits of other hosts, pushes in the background, and no harm."""

from __future__ import annotations

import logging
import os
import pickle
import re
import time
from pathlib import Path
from typing import Any

import pytest

from artifacts.engine.direct import recording_directly
from artifacts.engine.execution import Done, Execution
from artifacts.remote import background, link
from artifacts.remote.layout import read_record
from artifacts.remote.opening import VARIABLES
from artifacts.run_record import Record
from artifacts.stage import stage
from artifacts.store.store import Store
from schemas.parameters import Summary
from schemas.remote import RemotePlace
from schemas.secrets import conceal
from tests.artifacts.building import build
from tests.artifacts.remote.server import Bucket, Fault, bucket, serving
from tests.processes import PROJECT, bare_environment, run_python

__all__ = ["bucket"]
WORK: list[str] = []
"""What was computed."""


@stage("validate")
def brew(word: str, out: Path) -> Summary:
    """Write a word, and note that it was work."""
    WORK.append(word)
    (out / "word").write_text(word * 3)
    (out / "big").write_bytes(word.encode() * 400_000)
    return Summary()


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    """Nobody has done anything yet."""
    WORK.clear()


def use(place: RemotePlace | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs have a remote, as settings do."""
    for name, variable in VARIABLES.items():
        value = getattr(place, name) if place else None
        monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable, raising=False)


def run(home: Path, *words: str, refresh: bool = False) -> Record:
    """Be a run that needs some words."""
    with recording_directly(Store(home), dataset="words") as current:
        for word in words:
            if refresh:
                rebuilt = Execution(current.store, current.id, "", brew, {"word": word}, "asked", remote=current.remote)
                current.perform(rebuilt)
            else:
                brew(word)
    return current.saved


def only(record: Record) -> Any:
    """The one row of a record."""
    (row,) = record.stages
    return row


def test_another_host_finds_what_one_has_computed(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Host B computes nothing, its rows say where the artifact is from, and the next time it is B's own."""
    use(bucket.place, monkeypatch)
    first = run(tmp_path / "a", "tea")
    assert WORK == ["tea"]
    assert f"runs/{first.id}.json" in bucket.named()
    second = run(tmp_path / "b", "tea")
    assert WORK == ["tea"]
    assert (only(second).cached, only(second).fetched) == (True, str(bucket.place))
    assert (Path(only(second).path) / "word").read_text() == "teateatea"
    assert only(second).version == only(first).version
    assert not second.warnings
    third = run(tmp_path / "b", "tea")
    assert (only(third).cached, only(third).fetched) == (True, "")


def test_a_miss_costs_one_request(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has is asked for by one get of its record, before it is computed."""
    use(bucket.place, monkeypatch)
    run(tmp_path / "a", "tea")
    bucket.seen.clear()
    record = run(tmp_path / "a", "coffee")
    name = f"artifacts/validate/{only(record).version}.json"
    assert bucket.seen[0] == ("GET", name)
    assert [each for each in bucket.seen[: bucket.seen.index(("PUT", name))] if each[0] == "GET"] == [("GET", name)] * 2


def test_a_refreshed_stage_is_never_pulled(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be rebuilt is computed though the remote has it, which keeps what it has."""
    use(bucket.place, monkeypatch)
    run(tmp_path / "a", "tea")
    before = bucket.named("artifacts/")
    record = run(tmp_path / "b", "tea", refresh=True)
    assert WORK == ["tea", "tea"]
    assert not only(record).cached
    assert not record.warnings
    assert bucket.named("artifacts/") == before


def test_an_execution_travels_with_its_remote(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickled execution holds plain text and no secret, and asks the remote wherever it is loaded."""
    use(bucket.place, monkeypatch)
    run(tmp_path / "a", "tea")
    monkeypatch.delenv(VARIABLES["url"])
    sent = pickle.dumps(Execution(Store(tmp_path / "b"), "0" * 12, "", brew, {"word": "tea"}, remote=bucket.place))
    assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in sent
    done = pickle.loads(sent)()
    assert isinstance(done, Done)
    assert done.row.fetched == str(bucket.place)
    looked = Execution(Store(tmp_path / "c"), "0" * 12, "", brew, {"word": "tea"}, remote=bucket.place).stored()
    assert looked is not None
    assert looked.row.fetched
    assert WORK == ["tea"]


@pytest.mark.parametrize("kind", ["gone", "error", "hang", "slow", "cut"])
def test_a_remote_that_is_away_is_one_warning(
    kind: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three stages complete, none waits for more than some seconds, and the record has one warning of each kind."""
    monkeypatch.setattr("artifacts.remote.objects.ANSWER", 1.0)
    monkeypatch.setattr("artifacts.remote.objects.LEAST", 0.5)
    place = bucket.place
    if kind == "gone":
        with serving() as other:
            place = other.place
    else:
        bucket.faults.append(Fault(lambda method, name: True, kind, {"error": 503, "slow": 30}.get(kind, 0)))
    use(place, monkeypatch)
    started = time.monotonic()
    record = run(tmp_path / "a", "tea", "coffee", "milk")
    assert time.monotonic() - started < 8
    assert record.state == "completed"
    assert [row.cached for row in record.stages] == [False] * 3
    away, left = record.warnings
    assert "The run goes on without it." in away
    assert "3 artifacts of this run are not pushed" in left
    assert Record.model_validate_json((tmp_path / "a" / "runs" / f"{record.id}.json").read_bytes()) == record


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
@pytest.mark.parametrize("sound", [False, True], ids=["first", "known"])
def test_a_clock_that_is_wrong_is_told_and_no_missing_key(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float, *, sound: bool
) -> None:
    """Where the server refuses requests for their date the run completes without it, and a warning has both times."""
    use(bucket.place, monkeypatch)
    if sound:
        run(tmp_path / "a", "coffee")
        WORK.clear()
    bucket.ahead, bucket.skew = ahead, 900.0  # as Amazon's
    record = run(tmp_path / "a", "tea")
    assert WORK == ["tea"]
    assert (record.state, only(record).cached) == ("completed", False)
    warning, left = record.warnings
    assert "1 artifact of this run is not pushed" in left
    assert "expected this machine's clock to be within some minutes of the server's" in warning
    assert re.search("found 2[0-9T:-]{18}[+]00:00 here and 2[0-9T:.-]{18,22}Z there. Set the clock", warning)
    assert "The run goes on without it." in warning


def test_what_a_record_and_a_log_say_holds_no_secret(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the home folder, nor the remote, nor a log line has the key, whatever the server answers."""
    use(bucket.place, monkeypatch)
    caplog.set_level(logging.DEBUG)
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    run(tmp_path / "a", "tea")
    bucket.faults.append(Fault(lambda method, name: True, "error", 403))
    record = run(tmp_path / "b", "tea")
    assert "credentials" in record.warnings[0]
    home = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret.encode() not in home + b"".join(bucket.named().values())
    assert secret not in caplog.text


def test_two_hosts_that_compute_one_thing_keep_the_first(
    bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who comes second with the same content says nothing; who has another content warns, and names it; both keep."""
    one, alike, other = (Store(tmp_path / name) for name in ("one", "alike", "other"))
    ref = build(one, {"a": b"x" * 50_000}, created="2026-01-01T00:00:00+00:00")
    build(alike, {"a": b"x" * 50_000}, created="2026-02-02T00:00:00+00:00")
    theirs = build(other, {"a": b"y" * 50_000})
    assert theirs.version == ref.version
    pushed = [
        getattr(link.Link(bucket.place, each.home).push(each, ref.stage, ref.version, "1" * 12), "state", "")
        for each in (one, alike, other)
    ]
    assert pushed == ["pushed", "there", "differs"]
    (warning,) = caplog.messages
    assert f"{ref.stage} {ref.version} has another content there ({ref.digest[:16]})" in warning
    got = bucket.named()[f"artifacts/{ref.stage}/{ref.version}.json"]
    assert read_record(got, ref.stage, ref.version)[0].digest == ref.digest
    assert other.read(ref.stage, ref.version, fully=True) is not None


def test_a_run_waits_for_its_pushes_and_not_too_long(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes its time delays the end by no more than the bound, and the record says what is missing."""
    use(bucket.place, monkeypatch)
    monkeypatch.setattr(background.Background.settle, "__defaults__", (0.3,))
    bucket.faults.append(Fault(lambda method, name: method == "PUT" and name.startswith("blobs/"), "slow", 3.0))
    started = time.monotonic()
    record = run(tmp_path / "a", "tea")
    assert time.monotonic() - started < 2
    assert [text for text in record.warnings if "1 artifact of this run is not pushed" in text]
    assert record.state == "completed"


def test_a_remote_that_comes_back_gets_all_in_the_end(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be pushed while the server was away is tried once more at the run's end, and then is there."""
    use(bucket.place, monkeypatch)
    run(tmp_path / "a", "tea")
    monkeypatch.setattr(link, "AWAY", 0.2)
    fault = Fault(lambda method, name: True, "error", 503)
    with recording_directly(Store(tmp_path / "a"), dataset="words") as current:
        bucket.faults.append(fault)
        brew("coffee")
        time.sleep(1.5)
        bucket.faults.clear()
    record = current.saved
    assert f"artifacts/validate/{only(record).version}.json" in bucket.named()
    assert len(record.warnings) == 1
    assert "The run goes on without it." in record.warnings[0]


def test_each_run_is_told_of_a_remote_that_is_left_alone(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run asks nobody within the minute, and says so all the same; a refusal is its run's own."""
    use(bucket.place, monkeypatch)
    bucket.faults.append(Fault(lambda method, name: True, "error", 503))
    first = run(tmp_path / "a", "tea")
    asked = len(bucket.seen)
    second = run(tmp_path / "a", "coffee")
    assert len(bucket.seen) == asked
    assert first.warnings[0] == second.warnings[0]
    bucket.faults[:] = [Fault(lambda method, name: True, "error", 403)]
    refused = run(tmp_path / "b", "tea")
    assert "credentials" in refused.warnings[0]
    bucket.faults.clear()
    assert not run(tmp_path / "b", "tea", "milk").warnings


def test_keys_come_from_the_usual_file(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the profile that is asked for sign the requests, and are hidden in texts; without any that is said."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    lines = (
        "[default]\naws_access_key_id = OTHER\n[team]\naws_access_key_id = TEAM\naws_secret_access_key = hush%hush\n"
    )
    (tmp_path / "credentials").write_text(lines)
    monkeypatch.setenv("AWS_PROFILE", "team")
    use(bucket.place, monkeypatch)
    assert not run(tmp_path / "a", "tea").warnings
    assert {key.split("/")[0] for key in bucket.keys} == {"TEAM"}
    assert conceal("it was hush%hush") == "it was ***"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr("artifacts.remote.objects.ANSWER", 0.5)
    assert "No key was found" in run(tmp_path / "b", "tea").warnings[0]


def test_the_engine_is_imported_for_a_bucket_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the engine of runs nor a remote in a folder loads obstore."""
    program = (
        "import sys, artifacts.engine.recorder\n"
        "from artifacts.remote.opening import open_backend, remote_place\n"
        "open_backend(remote_place()).put_new('a/one', b'x')\n"
        "print('obstore' in sys.modules)"
    )
    environment = bare_environment(PYTHONPATH=str(PROJECT), IDXFLOW_REMOTE__URL=(tmp_path / "shared").as_uri())
    out, _ = run_python("-c", program, cwd=tmp_path, environment=environment)
    assert out.strip() == "False"
