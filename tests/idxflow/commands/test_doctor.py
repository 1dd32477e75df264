"""`idxflow doctor`: what it says of an installation and a home folder, and what it says of nobody."""

from __future__ import annotations

import getpass
import json
import os
import platform
import time
from pathlib import Path

import pytest

import idxflow
from artifacts.archive.runs import RunState
from artifacts.store.flock import try_lock
from artifacts.store.store import Store
from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.main import main
from idxflow.diagnosing.diagnosis import (
    Package,
    Problem,
    ServerFacts,
    Software,
    diagnose,
    names_of_person_and_host,
    problems_of,
    without_names,
    words_for,
)
from idxflow.diagnosing.machine import Disk
from idxflow.diagnosing.stores import SOUND, UNTRIED, WORK, StoreFacts, look_at, try_locks
from tests.artifacts.archive.history import write_long_history, write_run
from tests.artifacts.building import build
from tests.processes import PROJECT, bare_environment, run_python

SOUND_SOFTWARE = Software(idxflow="0", python="0", system="0", packages={"numpy": Package(version="2.3")})
SOUND_SERVER = ServerFacts(running=False, free_port=4200)


def test_a_store_is_counted(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Versions, machine, store, locks and server in one text, with exit code 0 where nothing is wrong."""
    build(store, {"table.parquet": b"rows"})
    states: tuple[RunState, ...] = ("completed", "completed", "failed", "running")
    for number, state in enumerate(states):
        write_run(store, f"{number:012}", minute=number, state=state)
    assert main(["doctor"]) == DONE
    page = capsys.readouterr().out
    assert page.startswith("idxflow:")
    for words in ("Machine:", "BLAS:", "Locks:           work", "No problem found.", "tensorflow==2.", "1 artifact;"):
        assert words in page, words
    assert "4 runs (2 completed, 1 failed, 1 killed)" in " ".join(page.split())


def test_a_home_folder_without_a_store_is_left_as_it_is(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing has run yet that is said, and nothing is made."""
    assert main(["doctor"]) == DONE
    assert "Store:           none yet" in capsys.readouterr().out
    assert not list(desk.iterdir())


def test_json_is_the_whole_of_it(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has the packages with their versions, the store, the server, and the problems."""
    assert main(["doctor", "--json"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found["software"]["packages"]["prefect"]["asked"] == ""
    assert found["store"]["locks"] == WORK
    assert found["server"]["running"] is False
    assert found["problems"] == []


def test_in_python_it_is_the_same(store: Store) -> None:
    """`idxflow.doctor` finds what the command finds, of a store and of a folder that has none."""
    build(store, {"a": b"x"})
    found = idxflow.doctor(store.home)
    assert found.home == diagnose(str(store.home)).home
    assert found.software == diagnose().software
    assert not idxflow.doctor(store.home / "nowhere").problems


def test_a_wrong_setting_is_a_problem_and_no_refusal(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one command that has to work where others refuse says what they would say."""
    (desk / "idxflow.toml").write_text("hoem = 'x'\n")
    assert main(["doctor"]) == FAILED
    page = " ".join(capsys.readouterr().out.split())
    assert "Problem: idxflow.toml: hoem: the name hoem; expected one of" in page
    assert "Did you mean home?" in page


def test_a_record_that_does_not_read_is_a_problem(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What needs a person is named with what to do, and the exit code is 1."""
    (store.runs / "damaged.json").write_text("{")
    assert main(["doctor"]) == FAILED
    assert "run records: 1 record that cannot be read. `idxflow verify --all` says" in " ".join(
        capsys.readouterr().out.split()
    )


def test_no_name_and_no_secret_is_in_it(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user nor the host is named, whatever says so, and a variable with a secret gives its name alone."""
    user, host = "margarethe", platform.node()
    monkeypatch.setenv("LOGNAME", user)
    monkeypatch.setenv("PREFECT_API_URL", f"https://{user}:hunter22@api.example.org/api?key=hunter22")
    monkeypatch.setenv("IDXFLOW_MIRROR", "https://alice:hunter22@host/")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    home = desk / user / "store"
    Store(home)
    text = diagnose(str(home)).model_dump_json()
    assert getpass.getuser() == user
    assert "hunter22" not in text
    assert user not in text
    assert host not in text.replace("localhost", "")
    assert "example.org" not in text
    assert '"PREFECT_API_URL"' in text
    assert '"OMP_NUM_THREADS=2"' in text
    assert '"home":"***/store"' in text


def test_names_are_written_over_as_words() -> None:
    """A name in a path is written over, in any case and beside digits too; the same letters within a word are not."""
    (longest, *_) = names_of_person_and_host()
    told = [f"/srv/{longest}/x", f"/srv/{longest.title()}_runs2", f"x{longest}x", 3, None]
    assert without_names({"a": told}) == {"a": ["/srv/***/x", "/srv/***_runs2", f"x{longest}x", 3, None]}


def test_a_path_is_told_from_here_or_from_home(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below the working folder is told from there, one of the user's from `~`, and another in full."""
    assert words_for(desk / ".idxflow") == ".idxflow"
    (desk / "work").mkdir()
    monkeypatch.chdir(desk / "work")
    assert words_for(desk / "data") == "~/data"
    assert words_for(Path("/srv/x")) == "/srv/x"


@pytest.mark.parametrize(
    ("software", "disks", "store", "server", "subject"),
    [
        (
            SOUND_SOFTWARE.model_copy(update={"packages": {"fastapi": Package(version="0.155", asked="<0.151")}}),
            (),
            None,
            SOUND_SERVER,
            "fastapi",
        ),
        (SOUND_SOFTWARE, (Disk(of="home", kind="ext4", free=10**8),), None, SOUND_SERVER, "disk of the home"),
        (SOUND_SOFTWARE, (), None, ServerFacts(running=True, answers=False, free_port=4201), "Prefect server"),
        (SOUND_SOFTWARE, (), None, ServerFacts(running=False, free_port=None), "free port for a server"),
        (
            SOUND_SOFTWARE,
            (),
            StoreFacts(
                format=2, artifacts=0, runs={}, unreadable=0, aliases=0, pins=0, quarantined=0,
                locks="two can hold one at once",
            ),
            SOUND_SERVER,
            "locks in the home folder",
        ),
        (
            SOUND_SOFTWARE,
            (),
            StoreFacts(format=2, artifacts=0, runs={}, unreadable=0, aliases=0, pins=0, quarantined=3, locks=WORK),
            SOUND_SERVER,
            "quarantine",
        ),
    ],
    ids=["package", "disk", "silent server", "ports", "locks", "quarantine"],
)  # fmt: skip
def test_what_is_wrong_is_found(
    software: Software, disks: tuple[Disk, ...], store: StoreFacts | None, server: ServerFacts, subject: str
) -> None:
    """Each thing that is not as it has to be is one problem with a way out."""
    found = list(problems_of(software, disks, store, server))
    assert [each.subject for each in found] == [subject]
    assert all(isinstance(each, Problem) and each.way_out for each in found)


def test_nothing_is_wrong_with_what_is_sound() -> None:
    """A server that answers needs no free port, and a disk that cannot be asked is no problem."""
    server = ServerFacts(running=True, answers=True, free_port=None)
    assert not list(problems_of(SOUND_SOFTWARE, (Disk(of="x", kind="", free=None),), None, server))


def test_locks_are_tried_and_leave_nothing(store: Store) -> None:
    """A lock that holds says so, and its file goes; where no lock was ever taken none is tried."""
    assert try_locks(store.locks) == WORK
    assert not list(store.locks.iterdir())
    assert try_locks(store.locks / "nowhere") == UNTRIED
    assert {WORK, UNTRIED} == set(SOUND)
    held = try_lock(store.locks / f"doctor-{os.getpid()}")
    assert held is not None
    assert try_locks(store.locks) == "a new one is held by somebody"
    os.close(held)


def test_a_lock_folder_that_cannot_be_written_is_told(store: Store) -> None:
    """A link in the place of the lock is not followed, and the reason is told."""
    (store.locks / f"doctor-{os.getpid()}").symlink_to("/nowhere")
    assert try_locks(store.locks).startswith("none can be taken: ")


def test_what_waits_in_quarantine_is_counted(store: Store) -> None:
    """What was put aside counts, each artifact once."""
    build(store, {"table.parquet": b"rows"})
    (stage, version), *_ = store.versions()
    store.quarantine(stage, version, "it was tried")
    facts = look_at(store)
    assert (facts.artifacts, facts.quarantined) == (0, 1)


@pytest.mark.slow
def test_it_takes_less_than_two_seconds(store: Store) -> None:
    """With 1,000 runs in the history, the process included; TensorFlow and Prefect are not imported."""
    write_long_history(store)
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    run_python("-m", "idxflow", "doctor", cwd=store.home.parent, environment=environment)
    started = time.perf_counter()
    run_python("-m", "idxflow", "doctor", cwd=store.home.parent, environment=environment)
    assert time.perf_counter() - started < 2.0


def test_no_heavy_library_is_imported(desk: Path) -> None:
    """Neither TensorFlow nor Keras nor Prefect is imported for it."""
    program = "import sys; from idxflow.cli.main import main; main(['doctor']); print(*sys.modules, file=sys.stderr)"
    _, modules = run_python("-c", program, cwd=desk, environment=bare_environment(PYTHONPATH=str(PROJECT)))
    assert not {"tensorflow", "keras", "prefect", "pyarrow", "pandas"} & set(modules.split())
