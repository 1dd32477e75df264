"""The set-up for a team, docs/team.md, as it stands there: PostgreSQL, a guarded server, a worker, a person."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest

from flows.dag import STAGES
from tests.deployments.postgres import Postgres
from tests.deployments.team import Team
from tests.deployments.traces import traces, traces_below
from tests.processes import free_port, until

pytestmark = pytest.mark.slow

DATABASE_PASSWORD, API_PASSWORD = "d@ta:base/w0rd-1f6c", "api-w0rd-8e2b77"
KEY = urlsafe_b64encode(b"32-bytes-long-encryption-key-b41").decode()
SECRETS = (DATABASE_PASSWORD, API_PASSWORD, KEY)
QUICK = {"dataset": "digits", "training": {"profile": "tutorial", "epochs": 3}}
STATES = """
select 'flow', state_name, count(*) from flow_run where state_name <> 'Scheduled' group by state_name union all
select 'task', state_name, count(*) from task_run group by state_name order by 1, 2
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A database, where PostgreSQL is installed."""
    with Postgres(free_port(), DATABASE_PASSWORD) as database:
        yield database


@pytest.fixture(scope="module")
def team(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A server over that database, with the pipeline deployed."""
    team = Team(tmp_path_factory.mktemp("team"), postgres.settings, f"team:{API_PASSWORD}", KEY)
    with team.server():
        yield team


def test_a_team_runs_the_pipeline(team: Team, postgres: Postgres) -> None:
    """A worker computes all stages, a second run and a person's own find them cached, and no secret is left."""
    ask = ["prefect", "deployment", "run", "idxflow/on-demand", "--watch", "--params", json.dumps(QUICK)]
    with team.worker():
        for _ in range(2):
            team.run(*ask)
    shown, _ = team.run("idxflow", "run", "--json", "--dataset", "digits", "--set", "training.epochs=3")
    first, second, third = team.records()
    assert {stage.stage for stage in first.stages} == set(STAGES)
    assert not any(stage.cached for stage in first.stages)
    assert all(stage.cached for record in (second, third) for stage in record.stages)
    assert json.loads(shown)["id"] == third.id
    stages = len(first.stages)
    expected = ["flow Completed 3", f"task Cached {2 * stages}", f"task Completed {stages}"]

    def states() -> list[str]:
        return postgres.query("psql", "-tAF ", "-c", STATES).splitlines()

    until(lambda: states() == expected, 60, states)  # the server writes them by and by
    assert not traces(SECRETS, postgres.query("pg_dump").encode() + postgres.log.encode())
    assert not traces_below(SECRETS, team.folder)


@pytest.mark.parametrize("password", [None, "team:wrong"], ids=["none", "wrong"])
def test_a_stranger_is_refused(team: Team, password: str | None) -> None:
    """Without the password the API answers nothing but that it is alive; neither command nor run gets through."""
    assert team.ask("GET", "/health", None).status_code == 200
    assert team.ask("GET", "/admin/version", password).status_code == 401
    assert team.ask("GET", "/csrf-token?client=test", password).status_code == 401
    assert team.ask("POST", "/flow_runs/filter", password).status_code == 403  # nor, then, with a token
    told = {"PREFECT_API_AUTH_STRING": password or ""}
    _, said = team.run("prefect", "deployment", "ls", code=1, told=told)
    assert "401" in said
    before = len(team.records()) if team.store.exists() else 0
    _, said = team.run("idxflow", "run", "--dataset", "digits", code=1, told=told)
    assert "401" in said
    assert before == (len(team.records()) if team.store.exists() else 0)


def test_another_site_is_refused(team: Team) -> None:
    """Whoever knows the password but brings no CSRF token, as a page of another site, changes nothing."""
    password = team.password
    assert team.ask("GET", "/admin/version", password).status_code == 200
    refused = team.ask("POST", "/flows/", password, json={"name": "x"})
    assert refused.status_code == 403
    token = team.ask("GET", "/csrf-token?client=test", password).json()["token"]
    headers = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}
    assert team.ask("POST", "/flows/", password, json={"name": "x"}, headers=headers).ok
    told = {"PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false"}
    _, said = team.run("prefect", "variable", "set", "a", "b", code=1, told=told)
    assert "403" in said


def test_a_backup_is_restored(team: Team, postgres: Postgres) -> None:
    """What pg_dump writes, pg_restore brings back into an empty database, as the role that owns it."""
    postgres.query("pg_dump", "--format=custom", "--file=prefect.dump")
    postgres.query("createdb", "--owner", "prefect", "restored", user="postgres")
    postgres.query("pg_restore", "--exit-on-error", "--dbname=restored", "prefect.dump")
    # The scheduler goes on meanwhile: what is compared is what only people change.
    for table in ("flow", "deployment", "work_pool", "alembic_version"):
        rows = postgres.query("psql", "-tAc", f"select * from {table} order by 1")
        assert rows
        assert postgres.query("psql", "-tAc", f"select * from {table} order by 1", "restored") == rows
