"""What a strict review broke once: each a short scene, so that it stays whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from artifacts.archive.audit import Auditor
from artifacts.archive.collect import collect, survey
from artifacts.archive.names import Names
from artifacts.archive.runs import list_runs, state_of
from artifacts.files import move_folder
from artifacts.holds import Hold
from artifacts.manifest import Input
from artifacts.store import Store
from schemas.errors import StoreError
from tests.artifacts.building import build, publish
from tests.faults.scenarios import NOW, OLD, content, record, ref_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of three artifacts; the last run used the first, an alias holds the second."""
    store = Store(tmp_path / "home")
    for salt in range(3):
        build(store, OLD, salt=salt)
    record(store, "a" * 12, (0,))
    Names(store).set_alias("champion", "parse", ref_of(1).version, NOW)
    return store


def heed_ctrl_c() -> None:
    """Be interruptible, also where the tests themselves run in the background, which a shell lets ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def clean_up(store: Store) -> None:
    collect(store, keep=1, older_than=None, now=datetime.now(UTC))


def test_a_released_hold_writes_nowhere(tmp_path: Path) -> None:
    """After a hold is released its descriptor belongs to whoever opens a file next: nothing is written to it."""
    hold = Hold(tmp_path / "holds", "run")
    hold.release()
    with (tmp_path / "other").open("w+b") as other:
        hold.add("parse", "0" * 16)
        hold.release()
        assert os.fstat(other.fileno()).st_size == 0


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_an_interrupted_run_stays_interrupted(tmp_path: Path) -> None:
    """Ctrl-C while stages work: what they commit later is in the record, which never says running again."""
    from prefect.settings import PREFECT_API_URL

    home = tmp_path / "home"
    environment = os.environ | {
        "IDXFLOW_HOME": str(home),
        "COUNTING_SLEEP": "6",
        "PREFECT_API_URL": PREFECT_API_URL.value() or "",
    }
    command = [sys.executable, "-m", "tests.artifacts.counting", "1"]
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )
    deadline = time.monotonic() + 60
    while len(list(home.glob("artifacts/download/.staging*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    (left,) = list_runs(Store(home))
    assert left.state == "interrupted"
    assert state_of(Store(home), left) == "interrupted"
    committed = {
        (stage, version) for stage, version in Store(home).versions() if Store(home).is_committed(stage, version)
    }
    assert committed <= {(row.stage, row.version) for row in left.stages}


def test_a_clean_up_leaves_what_a_dying_refresh_had_put_aside(store: Store) -> None:
    """While a run makes a held artifact anew, and after it died over that, a clean-up leaves the old one."""
    stage, version = "parse", ref_of(1).version
    with store.locked(stage, version):
        publish(store, {"a": b"new"}, salt=1)
        clean_up(store)
        assert store.replaced(stage, version).exists()
    found = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert (found.kept, found.candidates) == (2, ())
    clean_up(store)
    assert content(store, ref_of(1)) == b"old"


def test_a_clean_up_does_not_take_what_came_back_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something unfinished that is restored after the clean-up has looked stays."""
    stage, version = "parse", ref_of(1).version
    found = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    (store.folder(stage, version) / "record.json").rename(store.home / "record")
    unfinished = survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert {each.kind for each in unfinished.candidates} == {"artifact", "unfinished"}
    (store.home / "record").rename(store.folder(stage, version) / "record.json")
    monkeypatch.setattr("artifacts.archive.collect.survey", lambda *_, **__: unfinished)
    clean_up(store)
    assert content(store, ref_of(1)) == b"old"
    assert not found.done


@pytest.mark.parametrize("how", ["damaged", "unknown field", "pinned and gone", "manifest"])
def test_a_clean_up_stops_where_nobody_knows_what_is_held(store: Store, how: str) -> None:
    """A run's record or a held manifest that does not read, a pinned run without its record: nothing is taken."""
    path = store.runs / f"{'a' * 12}.json"
    match how:
        case "damaged":
            path.write_text(path.read_text()[:-9])
        case "unknown field":
            path.write_text(json.dumps(json.loads(path.read_bytes()) | {"training": {"newer": 1}}))
        case "pinned and gone":
            Names(store).pin_run("a" * 12, "", NOW)
            path.unlink()
        case "manifest":
            (store.folder("parse", ref_of(1).version) / "manifest.json").chmod(0o644)
            (store.folder("parse", ref_of(1).version) / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="Nothing was taken away"):
        clean_up(store)
    assert len(list(store.versions())) == 3


def test_a_flipped_byte_in_a_held_manifest_costs_nothing_else(store: Store) -> None:
    """What a held artifact was made from stays, though its manifest no longer says what that is."""
    table = ref_of(2)
    taken = Input(argument="x", stage="parse", name="train", version=table.version, digest="0" * 64)
    model = build(store, OLD, "train", inputs=(taken,))
    Names(store).set_alias("model", "train", model.version, NOW)
    path = store.folder("train", model.version) / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"verify --repair.*Nothing was taken away"):
        clean_up(store)
    assert content(store, table) == b"old"


def test_damage_is_put_aside_only_under_the_lock(store: Store) -> None:
    """While somebody else makes a version anew, what looks damaged is left alone; afterwards it is put aside."""
    stage, version = "parse", ref_of(0).version
    path = store.folder(stage, version) / "a"
    path.chmod(0o644)
    path.write_bytes(b"bad")
    with store.locked(stage, version):
        assert store.read(stage, version, fully=True) is None
        assert path.exists()
    assert store.read(stage, version, fully=True) is None
    assert not path.exists()


def test_a_note_that_was_not_written_to_its_end_is_no_file_of_the_artifact(store: Store) -> None:
    """What a killed note of hashes leaves hidden in an artifact is passed over; any other hidden file is damage."""
    stage, version = "parse", ref_of(0).version
    folder = store.folder(stage, version)
    (folder / ".hashed.json.12-34").write_text("{")
    found = store.read(stage, version, fully=True)
    assert found is not None
    assert found[0].ref.file("a").read_bytes() == b"old"
    (folder / ".hidden").write_text("x")
    assert store.read(stage, version) is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("place", ["manifest", "runs/x.json", "aliases/x.json", "trust/own/x.json", "reason"])
@pytest.mark.parametrize("how", ["pipe", "endless", "folder", "deep"])
def test_odd_things_in_the_place_of_records_stop_nobody(store: Store, place: str, how: str) -> None:
    """A pipe, a link to an endless device, a folder, a bottomless JSON: no command hangs, no traceback."""
    store.quarantine("parse", ref_of(2).version, "test")
    places = {
        "manifest": store.folder("parse", ref_of(0).version) / "manifest.json",
        "reason": store.quarantined.folder / "parse" / f"{ref_of(2).version}-1" / "reason.txt",
    }
    path = places.get(place, store.home / place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    match how:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "deep":
            path.write_text("[" * 200_000)
    found = Auditor(store, everything=True, repair=False).run(datetime.now(UTC))
    assert bool(found.problems) == (place != "reason")
    try:
        survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    except StoreError as error:
        assert place != "reason", error


def test_a_file_in_the_place_of_an_artifact_is_put_aside(store: Store) -> None:
    """A version that is a plain file is damage, and the next run makes the artifact anew."""
    folder = store.folder("parse", ref_of(0).version)
    move_folder(folder, store.home / "away")
    folder.write_text("?")
    assert store.read("parse", folder.name) is None
    assert not folder.exists()
    build(store, OLD)
    assert content(store, ref_of(0)) == b"old"


def test_a_resumed_download_is_left_alone(store: Store) -> None:
    """A part that a run goes on with is not taken, however old it was when the clean-up looked."""
    from artifacts.locks import FlockManager

    part = store.incoming / "1-x.part"
    part.write_bytes(b"part")
    old = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    os.utime(part, (old, old))
    locks = FlockManager(store.incoming / "locks")
    locks.acquire_lock(part.name, "download")
    clean_up(store)
    assert part.exists()
    locks.release_lock(part.name, "download")
    clean_up(store)
    assert not part.exists()


def test_a_thousand_ended_runs_do_not_slow_a_survey(store: Store) -> None:
    """Who lives is asked once a survey, not once an artifact and run."""
    for number in range(1000):
        with Hold(store.holds, f"{number:012x}") as hold:
            hold.add("parse", ref_of(0).version)
    for salt in range(3, 60):
        build(store, {"a": b"x"}, salt=salt)
    started = time.perf_counter()
    survey(store, keep=1, older_than=None, now=datetime.now(UTC))
    assert time.perf_counter() - started < 2


def test_a_living_runs_staging_folder_is_no_leftover(store: Store) -> None:
    """What a run is at work on is neither listed as left over nor taken away."""
    version = ref_of(9).version
    staging = store.artifacts / "parse" / f".staging-{version}-1"
    staging.mkdir()
    auditor = Auditor(store, everything=True, repair=False)
    with store.locked("parse", version):
        assert auditor.run(datetime.now(UTC)).leftovers == ()
    assert len(auditor.run(datetime.now(UTC)).leftovers) == 1


def test_a_folder_of_somebody_elses_is_no_home(tmp_path: Path) -> None:
    """Where `artifacts` holds other things and no run was ever made, a store is not begun, and nothing is touched."""
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "code.py").write_text("x")
    with pytest.raises(StoreError, match=r"found code\.py\. Choose another folder with --home"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]


def test_what_is_none_of_ours_is_never_deleted(store: Store) -> None:
    """What a repair put aside because it does not belong to the store stays in quarantine, whatever is cleaned up."""
    (store.artifacts / "stray").write_text("precious")
    Auditor(store, everything=True, repair=True).run(datetime.now(UTC))
    clean_up(store)
    assert (store.quarantined.folder / "foreign" / "stray-1" / "stray").read_text() == "precious"


def test_an_alias_that_does_not_read_stops_clean_ups_only(store: Store) -> None:
    """A damaged alias leaves the others in use; a repair puts it aside, and it can be set anew."""
    path = store.home / "aliases" / "broken.json"
    path.write_text("garbage")
    names = Names(store)
    assert [alias.name for alias in names.aliases()] == ["champion"]
    with pytest.raises(StoreError, match="broken"):
        clean_up(store)
    (problem,) = Auditor(store, everything=True, repair=True).run(datetime.now(UTC)).problems
    assert problem.moved_to == "quarantine/names/broken.json-1/broken.json"
    clean_up(store)
    assert names.set_alias("broken", "parse", ref_of(1).version, NOW).name == "broken"


@pytest.mark.slow
def test_ctrl_c_beside_a_temporary_server_ends_at_once(tmp_path: Path) -> None:
    """A run with a server of its own that is interrupted says so within seconds, and leaves no server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "IDXFLOW_"))}
    places = {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "idxflow", "run", "--dataset", "digits", "--ephemeral", "--home", "h"]
    process = subprocess.Popen(
        [*command, "--set", "training.epochs=10000"],
        cwd=tmp_path,
        env=kept | places,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it takes no lock
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("h/artifacts/train/.staging*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.count("\n")) == (130, 1), errors
    assert not list((tmp_path / "tmp").glob("idxflow-server-*"))
