"""
The database of a home folder's Prefect server, and how a new one is made.

Prefect makes it by more than a hundred migrations, one after the other: seconds in which a first run waits. What they
come to, written down as SQL for a version of Prefect, makes the same database at once. With any other version, and
with whatever is there already, Prefect migrates as ever.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from contextlib import closing
from pathlib import Path

from artifacts.store.files import write_once

CHOSEN = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
"""The variable that names the database; `idxflow.server.environment` sets it to the home folder's own."""
OTHERS = ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_HOST")
"""Variables that name another one."""
MIGRATES = "PREFECT_SERVER_DATABASE_MIGRATE_ON_START"
"""The variable by which a server's start leaves its database as it is."""
PATIENCE = 0.2
"""Seconds to wait for another process that writes to the database."""


def database_file(home: Path) -> Path:
    """Return the path of the database of `home`."""
    return home / "prefect" / "prefect.db"


def database_url(home: Path) -> str:
    """Return the address by which Prefect finds the database of `home`."""
    return f"sqlite+aiosqlite:///{database_file(home)}"


def schema_file(version: str) -> Path:
    """Return where the SQL for a version of Prefect is, if it is known; `make schema` writes it."""
    return Path(__file__).with_name(f"prefect-{version}.sql")


def prepare_database(environment: MutableMapping[str, str]) -> None:
    """
    Make the home folder's database where there is none; have a server that finds all migrations done not look for them.

    What is there is never changed: not an empty file, nor what is left of a database. A new one is whole from the
    moment at which it is there, however this process ends, and of two that make it at once one does.

    Args: environment: of the server that is about to start. Where it names another database nothing is done.
    """
    import sqlite3
    from importlib.metadata import version

    home = environment.get("IDXFLOW_HOME")
    if not home or environment.get(CHOSEN) != database_url(Path(home)) or any(map(environment.get, OTHERS)):
        return
    schema, file = schema_file(version("prefect")), database_file(Path(home).resolve())
    try:
        made = schema.read_text("utf-8")
        # A journal without its database would be played into the new one.
        if not any(file.parent.glob(f"{file.name}*")) and hasattr(sqlite3.Connection, "serialize"):
            with closing(sqlite3.connect(":memory:")) as empty:
                empty.executescript(made)
                write_once(file, empty.serialize())
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", PATIENCE, uri=True)) as there:
            found = [revision for (revision,) in there.execute("SELECT version_num FROM alembic_version")]
    except (OSError, sqlite3.Error):
        return  # Prefect does what it did before, and says what is wrong
    if found == re.findall(r"""INSERT INTO "?alembic_version"? VALUES\('(\w+)'\)""", made):
        environment.setdefault(MIGRATES, "false")
