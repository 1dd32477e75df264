"""Which API a command talks to, and in which environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from idxflow.cli.ending import FAILED
from idxflow.server.connection import connect
from idxflow.server.environment import prepare_environment, profile_api_url, user_api_url
from idxflow.server.local import api_answers, find_server, stop_server
from idxflow.server.machine import find_process
from schemas.errors import ServerError
from tests.idxflow.conftest import Screen
from tests.processes import PROJECT, bare_environment, ending, free_port, run_python, start_python, until


def test_a_chosen_api_has_to_answer(desk: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PREFECT_API_URL set to nobody there is an error with a way out, and no server is started."""
    monkeypatch.setitem(os.environ, "PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServerError, match=r"Prefect API http://127.0.0.1:9/api: expected an answer, .*--ephemeral"):
        connect(desk / "home", screen)
    assert not (desk / "home").exists()


@pytest.mark.slow
def test_the_server_of_the_home_folder_is_found_again(desk: Path, screen: Screen) -> None:
    """The first call starts a server and says how to stop it; the second finds it, quietly, also by PREFECT_API_URL."""
    home = desk / "home"
    prepare_environment(home)
    try:
        first = connect(home, screen)
        first.wait()
        assert first.stop == f"idxflow server stop --home {home}"
        assert "Prefect server started at" in screen.text.getvalue()
        said = len(screen.text.getvalue())
        assert os.environ["PREFECT_API_URL"]
        second = connect(home, screen)
        second.wait()
        assert second.stop == first.stop
        assert len(screen.text.getvalue()) == said
    finally:
        stop_server(home)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_temporary_server_ends_with_its_owner(desk: Path, number: signal.Signals) -> None:
    """However a run with --ephemeral is killed, its server ends by itself, and nothing is left of its folder."""
    environment = bare_environment(PYTHONPATH=str(PROJECT), TMPDIR=str(desk))
    program = (
        "import time; from pathlib import Path; from idxflow.server.environment import prepare_environment\n"
        "from idxflow.server.connection import temporary_server\n"
        "prepare_environment(Path('home').absolute(), ephemeral=True)\n"
        "temporary_server().wait(); print('ready', flush=True); time.sleep(300)"
    )
    log = desk / "log"
    with ending(start_python("-c", program, cwd=desk, environment=environment, log=log)) as owner:
        until(lambda: "ready" in log.read_text() or owner.poll() is not None, 120)
        (folder,) = desk.glob("idxflow-server-*")
        server = find_server(folder)
        assert server is not None, log.read_text()
        owner.send_signal(number)
        owner.wait()
    until(lambda: not folder.exists())
    until(lambda: find_process(server.pid) is None, 30)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect API that asks for a password."""
    folder, port = tmp_path_factory.mktemp("guarded"), free_port()
    environment = bare_environment(PREFECT_HOME=str(folder), PREFECT_SERVER_API_AUTH_STRING="team:secret")
    words = "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)
    with ending(start_python(*words, cwd=folder, environment=environment, log=folder / "log")):
        url = f"http://127.0.0.1:{port}/api"
        until(lambda: api_answers(url), 120, (folder / "log").read_text)
        yield url


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "given", "found"),
    [
        (("run", "--dataset", "digits"), {}, "neither"),
        (("up",), {"PREFECT_API_AUTH_STRING": "team:guess"}, "what PREFECT_API_AUTH_STRING holds"),
        (("run", "--dataset", "digits"), {"PREFECT_API_KEY": "guess"}, "what PREFECT_API_KEY holds"),
    ],
    ids=["no password", "wrong password", "wrong key"],
)
def test_an_api_that_lets_nobody_in_is_told_before_anything_runs(
    guarded: str, desk: Path, words: tuple[str, ...], given: dict[str, str], found: str
) -> None:
    """No password, a wrong one, a key that it does not know: said without the secret, and nothing has run."""
    environment = bare_environment(PYTHONPATH=str(PROJECT), PREFECT_API_URL=guarded, **given)
    output, errors = run_python("-m", "idxflow", *words, cwd=desk, environment=environment, code=FAILED)
    assert f"ERROR Prefect API {guarded}: expected a valid password or key" in errors
    assert f", found 401 Unauthorized, with {found}. Set PREFECT_API_AUTH_STRING" in errors
    assert "guess" not in output + errors
    assert not list(desk.glob(".idxflow/runs/*"))


@pytest.mark.slow
def test_an_api_that_knows_the_password_is_ready(guarded: str, desk: Path) -> None:
    """With the server's own password there is nothing to wait for, and nothing to say."""
    environment = bare_environment(
        PYTHONPATH=str(PROJECT), PREFECT_API_URL=guarded, PREFECT_API_AUTH_STRING="team:secret"
    )
    program = (
        "from pathlib import Path; from idxflow.server.connection import connect\n"
        "from idxflow.views.console import open_console; connect(Path('home'), open_console()).wait()"
    )
    assert run_python("-c", program, cwd=desk, environment=environment) == ("", "")


PROFILES = """
active = "work"
[profiles.work]
PREFECT_API_URL = "http://prefect.example/api"
[profiles.home]
PREFECT_LOGGING_LEVEL = "DEBUG"
"""


def test_everything_lies_under_the_home_folder(desk: Path) -> None:
    """Prefect's home, database and memo lie below ours; nobody is told anything; records are JSON."""
    prepare_environment(desk / "data")
    assert os.environ["IDXFLOW_HOME"] == str(desk / "data")
    assert os.environ["PREFECT_HOME"] == str(desk / "data" / "prefect")
    assert os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"].endswith(f"{desk}/data/prefect/prefect.db")
    assert os.environ["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["PREFECT_LOGGING_EXTRA_LOGGERS"] == "idxflow"


def test_what_a_person_has_set_stays(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that are set already are kept, a database under its older name too; only the home folder is not."""
    monkeypatch.setenv("PREFECT_HOME", "/theirs")
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////theirs.db")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    monkeypatch.setenv("IDXFLOW_HOME", "elsewhere")
    prepare_environment(desk)
    assert os.environ["PREFECT_HOME"] == "/theirs"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in os.environ
    assert os.environ["IDXFLOW_HOME"] == str(desk)


def test_verbose_lets_the_libraries_talk(desk: Path) -> None:
    """With `verbose` Prefect logs to the console, and TensorFlow is not told to be quiet."""
    prepare_environment(desk, verbose=True)
    assert os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "INFO"
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ


def test_a_prefect_profile_counts_as_a_choice(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The active profile's API is found without Prefect, and Prefect is left the home where the profile lies."""
    (desk / ".prefect").mkdir()
    (desk / ".prefect" / "profiles.toml").write_text(PROFILES)
    assert user_api_url() == profile_api_url() == "http://prefect.example/api"
    prepare_environment(desk / "data")
    assert "PREFECT_HOME" not in os.environ
    monkeypatch.setenv("PREFECT_API_URL", "http://mine/api")
    assert user_api_url() == "http://mine/api"


@pytest.mark.parametrize("profiles", [None, "not = [toml", PROFILES.replace('"work"', '"home"'), "active = 'gone'"])
def test_no_profile_is_no_choice(profiles: str | None, desk: Path) -> None:
    """Without a readable profile that names an API, nothing is chosen."""
    (desk / ".prefect").mkdir()
    if profiles is not None:
        (desk / ".prefect" / "profiles.toml").write_text(profiles)
    assert user_api_url() is None


def test_ephemeral_is_stronger_than_a_chosen_api(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary server is used although an API is set, and no profile can bring one back."""
    monkeypatch.setenv("PREFECT_API_URL", "http://mine/api")
    prepare_environment(desk, ephemeral=True)
    assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_HOME"] == str(desk / "prefect")
