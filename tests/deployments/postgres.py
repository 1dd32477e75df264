"""A real PostgreSQL of Debian's packages, on a free port and in a temporary folder, for as long as a test wants it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
OWNER = "prefect"


class Postgres:
    """
    A database cluster, in which a role without privileges owns a database, both called `prefect`, as in docs/team.md.

    PostgreSQL refuses to run as root: there it runs as the user `postgres`, which Debian's package brings.

    Args: port: a free one.  password: of the role, which is asked for on every connection.
    """

    def __init__(self, port: int, password: str) -> None:
        if not PROGRAMS:
            pytest.skip("PostgreSQL is not here: apt-get install postgresql")
        self.port, self.password = port, password
        self._user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None

    @property
    def settings(self) -> dict[str, str]:
        """The variables by which Prefect's server finds the database."""
        found = {"HOST": "127.0.0.1", "PORT": str(self.port), "NAME": OWNER, "USER": OWNER, "PASSWORD": self.password}
        return {f"PREFECT_SERVER_DATABASE_{name}": value for name, value in found.items()} | {
            "PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg"
        }

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="idxflow-postgres-"))  # not pytest's, which only its user may enter
        if self._user:
            shutil.chown(self._folder, self._user)
        word = self._folder / "password"  # of the superuser too
        word.write_text(self.password)
        word.chmod(0o644)
        self._call("initdb", "--auth=scram-sha-256", "--username=postgres", f"--pwfile={word}", "--no-sync", "data")
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self._folder} -c fsync=off"
        self._call("pg_ctl", "--pgdata=data", "--log=log", f"--options={options}", "--wait", "start")
        role = f"create role {OWNER} login password '{self.password}'"
        self.query("psql", "-c", role, "postgres", user="postgres")
        self.query("createdb", "--owner", OWNER, OWNER, user="postgres")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call("pg_ctl", "--pgdata=data", "--mode=immediate", "--wait", "stop")
        shutil.rmtree(self._folder)

    def query(self, program: str, *arguments: str, user: str = OWNER) -> str:
        """Run psql, pg_dump or another client program. Returns: what it prints."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": user, "PGPASSWORD": self.password}
        return self._call(program, *arguments, **where)

    @property
    def log(self) -> str:
        """What the database said so far."""
        return (self._folder / "log").read_text()

    def _call(self, program: str, *arguments: str, **environment: str) -> str:
        # A file, no pipe: the server that pg_ctl leaves behind would keep a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [PROGRAMS[-1] / program, *arguments],
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
                user=self._user,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, f"{program}: {said}"
        return said
