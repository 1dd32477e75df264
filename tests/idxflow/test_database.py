"""The database of a home folder's server: made at once, as Prefect's migrations would make it, and never changed."""

from __future__ import annotations

import re
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from artifacts.store import files
from idxflow.server import database
from idxflow.server.database import CHOSEN, MIGRATES, database_file, database_url, prepare_database, schema_file
from idxflow.server.environment import prepare_environment
from idxflow.server.local import start_server, stop_server, wait_for_server
from idxflow.server.password import private_folder
from tests.faults.disk import Crash, CrashingDisk
from tests.idxflow.migrating import content, migrate

PORTS = range(29300, 29400)
SETTLED = {MIGRATES: "false"}
BLOCKS = {f"rows of {table}" for table in ("block_type", "block_schema", "block_schema_reference")}


@pytest.fixture
def file(home: Path) -> Path:
    """Where the database of an empty home folder will be."""
    private_folder(home)
    return database_file(home)


def changed(home: Path, **others: str) -> dict[str, str]:
    """Prepare the database of a home folder, and return the variables that were set meanwhile."""
    given = {"IDXFLOW_HOME": str(home), CHOSEN: database_url(home), **others}
    environment = dict(given)
    prepare_database(environment)
    return {name: value for name, value in environment.items() if given.get(name) != value}


def names(folder: Path) -> set[str]:
    """Return what lies in a folder."""
    return {path.name for path in folder.iterdir()}


def test_it_is_known_for_the_installed_prefect(home: Path, file: Path) -> None:
    """What is written down is of the installed version, and has its newest migration."""
    assert schema_file(version("prefect")).exists(), "`make schema` writes it down for this version of Prefect"
    found = find_spec("prefect")
    assert found is not None
    assert found.origin is not None
    scripts = Path(found.origin).parent.glob("server/database/_migrations/versions/sqlite/*.py")
    text = "\n".join(script.read_text("utf-8") for script in scripts)
    revisions, before = (set(re.findall(rf'^{name} = "(\w+)"', text, re.M)) for name in ("revision", "down_revision"))
    assert len(revisions) > 100
    assert changed(home) == SETTLED
    assert content(file)["rows of alembic_version"] == [(each,) for each in revisions - before]


@pytest.mark.slow
def test_a_new_one_is_what_migrations_make(home: Path, file: Path, tmp_path: Path) -> None:
    """Every table, column, key, index, trigger, view and row is as the installed Prefect's migrations make it."""
    migrated = tmp_path / "migrated.db"
    migrate(migrated)
    assert changed(home) == SETTLED
    assert content(file) == content(migrated)


def test_a_new_one_has_the_permissions_that_prefect_gives(home: Path, file: Path) -> None:
    """Nothing lies beside it, and what may be done with it is what may be done with a database of SQLite's own."""
    assert changed(home) == SETTLED
    assert names(file.parent) == {file.name}
    with closing(sqlite3.connect(home / "other.db")) as other:
        other.execute("CREATE TABLE t (c)")
    assert file.stat().st_mode == (home / "other.db").stat().st_mode
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_one_that_has_all_migrations_is_left_as_it_is(home: Path, file: Path, journal: str) -> None:
    """The next start looks for no migration and changes nothing, also where a server ended without closing it."""
    assert changed(home) == SETTLED
    with closing(sqlite3.connect(file)) as there:
        there.execute(f"PRAGMA journal_mode = {journal}")
        there.execute("INSERT INTO variable (name, value) VALUES ('mine', '1')")
        there.commit()
        kept = {path.name: path.read_bytes() for path in file.parent.iterdir() if not path.name.endswith("-shm")}
        assert changed(home) == SETTLED
        assert {name: (file.parent / name).read_bytes() for name in kept} == kept


def test_what_a_person_set_counts(home: Path, file: Path) -> None:
    """Whoever has migrations looked for at each start keeps that."""
    assert changed(home, **{MIGRATES: "true"}) == {}
    assert file.exists()


@pytest.mark.parametrize(
    "what", ["nothing in it", "no database", "another database", "an older one", "a journal", "a link"]
)
def test_what_is_there_is_not_touched(home: Path, file: Path, what: str) -> None:
    """Whatever lies in the new one's place, or would be played into it, stays, and Prefect does what it always did."""
    match what:
        case "nothing in it":
            file.touch()
        case "no database":
            file.write_text("no database")
        case "another database" | "an older one":
            with closing(sqlite3.connect(file)) as there:
                there.executescript("CREATE TABLE alembic_version (version_num)")
                there.execute("INSERT INTO alembic_version VALUES (?)", ("0f27d462bf6d",))
                if what == "an older one":
                    there.commit()
        case "a journal":
            file.with_name("prefect.db-wal").write_bytes(b"of a database that somebody deleted")
        case "a link":
            file.symlink_to(home / "nowhere")
    before = {path.name: path.is_symlink() or path.read_bytes() for path in file.parent.iterdir()}
    assert changed(home) == {}
    assert {path.name: path.is_symlink() or path.read_bytes() for path in file.parent.iterdir()} == before


@pytest.mark.parametrize(
    "others",
    [
        {CHOSEN: "postgresql+asyncpg://team@host/prefect"},
        {"PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://team@host/prefect"},
        {"PREFECT_SERVER_DATABASE_HOST": "host"},
        {"IDXFLOW_HOME": ""},
    ],
    ids=["its address", "its address of old", "its host", "no home"],
)
def test_another_database_is_nobodys_business(home: Path, file: Path, others: dict[str, str]) -> None:
    """Where the server is told of another database, the home folder gets none, and migrations are looked for."""
    assert changed(home, **others) == {}
    assert not file.exists()


def test_a_prefect_that_is_not_known_migrates(home: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a version whose migrations are not written down nothing is made, and nothing is believed of what is there."""
    assert changed(home) == SETTLED
    monkeypatch.setattr(database, "schema_file", lambda _: schema_file("0.1"))
    assert changed(home) == {}
    file.unlink()
    assert changed(home) == {}
    assert not file.exists()


def test_it_is_whole_or_not_there(home: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may die before any step, with a write torn in the middle; the next start makes it, or finds it."""
    whole, died = None, 0
    while whole is None:
        monkeypatch.setattr(files, "DISK", CrashingDisk(died))
        try:
            whole = changed(home)
        except Crash:
            died += 1
        monkeypatch.undo()
        if file.exists():
            with closing(sqlite3.connect(file)) as there:
                assert there.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert changed(home) == SETTLED
        file.unlink()
    assert died >= 4  # created, written, flushed, linked


def test_of_several_at_once_one_makes_it(home: Path, file: Path) -> None:
    """Servers of several runs that each have one of their own may start in one home folder: all find it whole."""
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: changed(home), range(8))) == [SETTLED] * 8
    assert names(file.parent) == {file.name}


@pytest.mark.slow
@pytest.mark.parametrize("older", [False, True])
def test_a_server_finds_it_or_migrates_an_older_one(home: Path, file: Path, tmp_path: Path, older: bool) -> None:
    """A server starts on a new one without a migration, and brings one of an older Prefect up to date."""
    prepare_environment(home)
    migrated = tmp_path / "migrated.db"
    migrate(migrated)
    wanted = content(migrated)
    if older:
        migrate(migrated, "downgrade", "-2")
        assert content(migrated) != wanted
        shutil.copy(migrated, file)
    server, _ = start_server(home, ports=PORTS)
    try:
        wait_for_server(home, server)
        found = content(file)
    finally:
        stop_server(home)
    # Prefect's own blocks are in it as soon as it answers.
    assert {name for name in wanted if found[name] != wanted[name]} <= BLOCKS
