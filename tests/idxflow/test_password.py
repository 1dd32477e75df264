"""The password of a home folder's server: who has it, and who is let in without."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from idxflow.cli.app import call
from idxflow.server.environment import prepare_environment
from idxflow.server.local import Server, start_server, stop_server, wait_for_server
from idxflow.server.password import keep_password, password_file, read_password
from schemas.errors import ServerError
from tests.processes import PROJECT, bare_environment, run_python

NOBODY = 65534


def mode(path: Path) -> int:
    """The permissions of a file."""
    return path.stat().st_mode & 0o777


def test_it_is_made_once_and_for_its_owner_alone(desk: Path) -> None:
    """Random, the same ever after, another one for another home; in a file and a folder that are nobody else's."""
    password = keep_password(desk / "home")
    assert keep_password(desk / "home") == read_password(desk / "home") == password
    assert len(password) > 30
    assert keep_password(desk / "other") != password
    assert mode(password_file(desk / "home")) == 0o600
    assert mode(password_file(desk / "home").parent) == 0o700


def test_what_an_older_home_left_open_is_closed(desk: Path) -> None:
    """A folder that everybody could enter, and a file that everybody could read, are so no more."""
    folder = desk / "home" / "prefect"
    folder.mkdir(parents=True, mode=0o755)
    (folder / "password").write_text("a:b\n")
    (folder / "password").chmod(0o644)
    assert keep_password(desk / "home") == "a:b"
    assert (mode(folder), mode(folder / "password")) == (0o700, 0o600)


def test_what_a_person_chose_is_the_password(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is set for the server counts, and is kept for those who find it running."""
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "team:mine")
    assert keep_password(desk / "home") == "team:mine"
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING")
    assert read_password(desk / "home") == "team:mine"


def test_the_command_prints_it(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`idxflow server password` prints it and nothing else; where there is none it says so, and makes nothing."""
    with pytest.raises(ServerError, match="expected a password, found none: no server of this home folder"):
        call(["server", "password"])
    assert not list(desk.iterdir())
    password = keep_password(desk / ".idxflow")
    assert call(["server", "password"]) == 0
    assert capsys.readouterr().out == f"{password}\n"


@pytest.fixture
def served() -> Iterator[tuple[Path, Server]]:
    """A home folder in a place that every user can reach, with its server."""
    with tempfile.TemporaryDirectory(prefix="idxflow-test-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        prepare_environment(home)
        try:
            server, _ = start_server(home)
            wait_for_server(home, server)
            yield home, server
        finally:
            stop_server(home)


@pytest.mark.slow
def test_without_it_nothing_is_answered(served: tuple[Path, Server]) -> None:
    """No password or a wrong one: 401, but for whether it lives; with it, no change without a CSRF token."""
    home, server = served
    password = read_password(home)
    own = httpx.BasicAuth(*password.split(":", 1))
    for given in (None, ("idxflow", "guess"), ("", "")):
        for method, path in (("GET", "/flows/00000000-0000-0000-0000-000000000000"), ("POST", "/flow_runs/filter")):
            headers = {"Prefect-Csrf-Token": "x", "Prefect-Csrf-Client": "y"}
            answer = httpx.request(method, f"{server.api}{path}", auth=given, headers=headers, json={})
            assert answer.status_code in {401, 403}, (given, path)
    assert httpx.get(f"{server.api}/admin/version").status_code == 401
    assert httpx.get(f"{server.api}/health").status_code == 200
    assert httpx.get(f"{server.api}/admin/version", auth=own).status_code == 200
    assert httpx.post(f"{server.api}/flow_runs/filter", auth=own, json={}).status_code == 403
    assert httpx.get(f"{server.api}/admin/version", auth=own, headers={"Origin": "http://x"}).status_code == 403
    assert httpx.get(f"{server.api}/admin/version", auth=own, headers={"Host": "x.test"}).status_code == 400
    command = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode()
    assert password not in command
    assert password not in (home / "server.json").read_text() + Path(server.log).read_text()


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_reads_nothing(served: tuple[Path, Server]) -> None:
    """Neither password, database, log, the folder's list, nor the server's environment."""
    home, server = served
    places = [*(home / "prefect").iterdir(), home / "prefect", Path(f"/proc/{server.pid}/environ")]
    assert {"password", "prefect.db", "server.log"} <= {place.name for place in places}
    for place in places:
        asked = ["ls" if place.is_dir() else "cat", str(place)]
        done = subprocess.run(asked, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False)
        assert done.returncode, place
        assert b"denied" in done.stderr, place
    assert subprocess.run(["ls", str(home)], user=NOBODY, capture_output=True, check=False).returncode == 0


@pytest.mark.slow
def test_a_run_is_let_in_and_leaves_no_trace_of_it(desk: Path) -> None:
    """`idxflow run` says how to get the password, once; it stands in its own file and nowhere else."""
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk))
    words = ("-m", "idxflow", "run", "--dataset", "digits", "--set", "training.epochs=2")
    home = desk / ".idxflow"
    try:
        said = "".join(run_python(*words, cwd=desk, environment=environment))
        assert said.count("idxflow server password") == 1
        assert "idxflow server password" not in "".join(run_python(*words, cwd=desk, environment=environment))
    finally:
        stop_server(home)
    password = read_password(home)
    assert password not in said
    secret = password.partition(":")[2].encode()
    files = [path for path in home.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert files == [password_file(home)]
