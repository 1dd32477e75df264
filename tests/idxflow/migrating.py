"""
What Prefect's migrations make of a new database, as SQL. `make schema` writes it down for the installed version.

    python -m tests.idxflow.migrating
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from idxflow.server.database import CHOSEN, schema_file
from tests.processes import bare_environment, run_python

PROPERTIES = ("application_id", "auto_vacuum", "encoding", "page_size", "user_version")


def migrate(file: Path, how: str = "upgrade", to: str = "head") -> None:
    """Have Prefect migrate a database, new or not. Args: how: upgrade or downgrade. to: a revision."""
    variables = {CHOSEN: f"sqlite+aiosqlite:///{file}", "PREFECT_HOME": str(file.parent)}
    asked = ("-m", "prefect", "server", "database", how, "--yes", "--revision", to)
    run_python(*asked, cwd=file.parent, environment=bare_environment(**variables))


def dump(file: Path) -> str:
    """Return the SQL of all that is in a database."""
    with closing(sqlite3.connect(file)) as database:
        return "\n".join(database.iterdump()) + "\n"


def content(file: Path) -> dict[str, object]:
    """
    Return all that a database is: what was said to make each table, index, trigger and view; columns, keys and rows.

    Only the order of clauses and of a table's constraints is left out, which is another one at each migration.
    """
    with closing(sqlite3.connect(file)) as database:
        made = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        found: dict[str, object] = {
            f"{kind} {name} of {table}": sorted(line.strip().strip(",") for line in (sql or "").strip().split("\n"))
            for kind, name, table, sql in made
        }
        for name in (name for kind, name, _, _ in made if kind == "table"):
            found[f"columns of {name}"] = database.execute(f'PRAGMA table_xinfo("{name}")').fetchall()
            keys = database.execute(f'PRAGMA foreign_key_list("{name}")').fetchall()
            found[f"foreign keys of {name}"] = sorted(key[1:] for key in keys)
            found[f"rows of {name}"] = sorted(database.execute(f'SELECT * FROM "{name}"').fetchall())
        return found | {name: database.execute(f"PRAGMA {name}").fetchone() for name in PROPERTIES}


if __name__ == "__main__":
    target = schema_file(version("prefect"))
    for older in target.parent.glob("prefect-*.sql"):
        older.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        migrated = Path(scratch, "migrated.db")
        migrate(migrated)
        target.write_text(dump(migrated), "utf-8")
