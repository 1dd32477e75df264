"""Secrets, in every place where they come in, are in nothing that is left: files, the database, or what is printed."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest
from prefect.blocks.system import Secret
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

from tests.deployments.team import Team
from tests.deployments.traces import traces, traces_below
from tests.faults.mirror import Mirror, html
from tests.processes import PROJECT, free_port

pytestmark = pytest.mark.slow

PRINTABLE = "".join(map(chr, range(33, 127)))
MIRROR_PASSWORD = f"m1rror/w0rd:7d20{PRINTABLE}\u00e4\u00f6\u00fc\u00df\u20ac"
"""Every printable character, umlauts and a euro sign: HTTP libraries take what is in Latin-1 only."""
TOKEN, API_PASSWORD = "t0ken-51c9+3a=", "api-w0rd-c40f"
DATABASE_PASSWORD, BYSTANDER = "d@ta:base/w0rd-91be", "by5tander-0c77"
KEY = urlsafe_b64encode(b"32-bytes-long-encryption-key-5e0").decode()
SECRETS = (MIRROR_PASSWORD, TOKEN, API_PASSWORD, DATABASE_PASSWORD, BYSTANDER, KEY)
ENVIRONMENT = {
    "MIRROR_PASSWORD": MIRROR_PASSWORD,
    "AWS_SECRET_ACCESS_KEY": BYSTANDER,
    # All that the libraries can tell.
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "idxflow,requests,urllib3,httpx,httpcore",
}
DIGITS = {path.name: path.read_bytes() for path in (PROJECT / "schemas" / "catalog" / "digits").glob("*.gz")}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A guarded server with a database of its own, whose processes have every secret in their environment."""
    folder = tmp_path_factory.mktemp("secrets")
    database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}"}
    team = Team(folder, database, f"team:{API_PASSWORD}", KEY)
    team.environment.update(ENVIRONMENT)
    team.server_environment.update(ENVIRONMENT)
    with team.server():
        yield team


def references(mirror: Mirror) -> str:
    """Return the address of a mirror that wants a user, a password and a token, as a parameter may hold it."""
    return f"http://alice:${{MIRROR_PASSWORD}}@{mirror.netloc}/mnist/?token=${{MIRROR_TOKEN}}"


def assert_asked(mirror: Mirror, *, token: bool = True) -> None:
    """Check that every request brought the secrets: otherwise nothing is proved."""
    credentials = f"Basic {b64encode(f'alice:{MIRROR_PASSWORD}'.encode()).decode()}"
    assert mirror.requests
    for request in mirror.requests:
        assert request.headers["Authorization"] == credentials
        assert request.path.startswith("/mnist/")
        assert request.path.endswith(f".gz?token={quote(TOKEN, safe='')}" if token else ".gz")


def test_a_deployed_run_leaves_no_secret(team: Team) -> None:
    """The password is the worker's, the token a Secret block's; not even the run's failures tell them."""
    with Mirror(DIGITS, faults=repeat(html)) as bad, Mirror(DIGITS) as good:
        mirrors = [references(bad), references(good)]
        asked = {"dataset": "digits", "training": {"epochs": 2}, "mirrors": mirrors, "refresh": ["download"]}
        block = {"MIRROR_TOKEN": "{{ prefect.blocks.secret.mirror-token }}"}
        with team.client():
            Secret(value=quote(TOKEN, safe="")).save("mirror-token")
        with team.worker():
            said = team.run(
                *("prefect", "deployment", "run", "idxflow/on-demand", "--watch", "--params", json.dumps(asked)),
                *("--job-variable", f"env={json.dumps(block)}"),
            )
        assert_asked(bad)
        assert_asked(good)
        record = team.records()[-1]
        assert any(
            f"an HTML page (812 bytes) from http://{bad.netloc}/mnist/; http://{good.netloc}" in each
            for each in record.warnings
        )
    with team.client() as client:
        assert client.read_flow_run(UUID(record.flow_run)).parameters["mirrors"] == mirrors
        assert client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(record.flow_run)])))
    assert not traces(SECRETS, "".join(said).encode())
    assert not traces_below(SECRETS, team.folder)


def test_a_run_by_hand_leaves_no_secret(team: Team, tmp_path: Path) -> None:
    """A person's run, at its most talkative, takes the password from .netrc; what it prints tells no secret either."""
    with Mirror(DIGITS, faults=repeat(html)) as bad, Mirror(DIGITS) as good:
        netrc = tmp_path / "netrc"
        quoted = MIRROR_PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        netrc.write_text(f'machine 127.0.0.1 login alice password "{quoted}"\n', "utf-8")
        mirrors = ("--mirror", bad.url, good.url)
        said = team.run(
            *("idxflow", "run", "--dataset", "digits", "--set", "training.epochs=2", *mirrors),
            *("--refresh", "download", "--verbose"),
            told={"NETRC": str(netrc)},
        )
        assert_asked(bad, token=False)
        assert_asked(good, token=False)
    assert not traces(SECRETS, "".join(said).encode())
    assert not traces_below(SECRETS, team.folder)


@pytest.mark.parametrize(
    "secretive", [f"http://alice:{quote(MIRROR_PASSWORD, safe='')}@127.0.0.1:9/", f"http://127.0.0.1:9/?token={TOKEN}"]
)
def test_a_secret_is_no_parameter(team: Team, secretive: str) -> None:
    """An address with a secret in it is refused, by the command and by the API, before anything is kept of it."""
    *_, said = team.run("idxflow", "run", "--dataset", "digits", "--mirror", secretive, code=2)
    assert "${NAME}" in said
    assert not traces(SECRETS, said.encode())
    asked = json.dumps({"dataset": "digits", "mirrors": [secretive]})
    team.run("prefect", "deployment", "run", "idxflow/on-demand", "--params", asked, code=1)
    assert not traces_below(SECRETS, team.folder)


def test_an_api_address_with_a_password_is_not_recorded(team: Team) -> None:
    """Where PREFECT_API_URL holds the password, neither the record's dashboard address nor what is said does."""
    user, _, password = team.password.partition(":")
    url = team.api.replace("//", f"//{user}:{password}@")
    told = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": team.password}
    said = team.run("idxflow", "run", "--dataset", "digits", "--set", "training.epochs=2", told=told)
    assert (team.records()[-1].dashboard or "").startswith(f"http://127.0.0.1:{team.port}/")
    asked = team.run("idxflow", "server", "status", code=1, told=told)
    with team.up(told):
        assert f"http://127.0.0.1:{team.port}\n" in team.log("up")
    assert not traces(SECRETS, "".join([*said, *asked]).encode())
    assert not traces_below(SECRETS, team.folder)


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+nonsense"], ids=["no answer", "no driver"])
def test_a_database_that_fails_does_not_tell_its_password(team: Team, driver: str, tmp_path: Path) -> None:
    """A server that finds no database says so, on the console and in its log, without the database's password."""
    address = f"{driver}://prefect:{quote(DATABASE_PASSWORD, safe='')}@127.0.0.1:{free_port()}/prefect"
    told = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": address, "PREFECT_API_URL": "", "IDXFLOW_HOME": str(tmp_path)}
    *_, said = team.run("idxflow", "server", "start", code=1, told=told)
    assert "its log ends" in said
    assert not traces(SECRETS, said.encode())
    assert not traces_below(SECRETS, tmp_path)
