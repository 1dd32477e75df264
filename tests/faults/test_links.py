"""Links in a home folder that lead to another one: nothing there is changed, and a person reads what was refused."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from artifacts.archive.names import Names
from artifacts.store.disk import LinkRefused, parent_of
from artifacts.store.files import move_folder, remove_folder, write_atomically
from artifacts.store.store import Store
from idxflow.cli.main import main
from idxflow.server.environment import prepare_environment
from schemas.errors import IdxflowError, StoreError
from tests.artifacts.building import build
from tests.faults.scenarios import FIRST_USE, NOW, OLD, record, ref_of

V, PINNED = (ref_of(salt, "train").version for salt in (0, 2))
FOLDERS = (
    "artifacts",
    "artifacts/train",
    "artifacts/download",
    f"artifacts/train/{V}",
    f"artifacts/train/.checkpoints-{V}",
    f"artifacts/train/.staging-{V}-1",
    f"artifacts/train/.replaced-{V}",
    "incoming",
    "incoming/locks",
    "quarantine",
    "quarantine/train",
    f"quarantine/train/{V}-1",
    "trash",
    "locks",
    "runs",
    "holds",
    "trust",
    "own",
    "aliases",
    "pins",
    "studies",
    "prefect",
)
FILES = (
    f"artifacts/train/{V}/a",
    f"artifacts/train/{V}/manifest.json",
    f"artifacts/train/{V}/record.json",
    f"artifacts/train/{V}/hashed.json",
    "runs/aaaaaaaaaaaa.json",
    "aliases/champion.json",
    f"pins/train-{PINNED}.json",
    "own/0123456789abcdef.json",
    "locks/names.lock",
    "holds/aaaaaaaaaaaa",
    "incoming/1-x.part",
    "trash/train-1",
)


def fill(home: Path) -> None:
    """Fill every folder of a home folder, all of it older than any clean-up spares."""
    store = Store(home)
    for salt in range(3):
        build(store, OLD, "train", salt=salt)
    record(store, "a" * 12, (0,))
    Names(store).set_alias("champion", "train", ref_of(1, "train").version, NOW)
    Names(store).pin_artifact("train", PINNED, "", NOW)
    store.trust.write(FIRST_USE)
    for place in FOLDERS:
        if not (path := home / place).exists():
            path.mkdir(parents=True)
            (path / "precious").write_text("precious")
    for place in FILES:
        if not (path := home / place).exists():
            path.write_text("precious")
    for path in home.rglob("*"):
        os.utime(path, (0, 0))


def look(home: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return all that a change of a home folder would change."""
    return {
        str(path.relative_to(home)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.lstat().st_ctime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (home, *home.rglob("*"))
    }


def linked(tmp_path: Path, place: str) -> tuple[Path, Path]:
    """Return a home folder that has a link in a place, and the one that it leads to."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for home in (mine, other):
        fill(home)
    if (mine / place).is_dir():
        shutil.rmtree(mine / place)
    else:
        (mine / place).unlink()
    (mine / place).symlink_to(other / place)
    return mine, other


def command(*words: str, home: Path) -> int:
    """Run a command on a home folder."""
    return main([*words, "--home", str(home)])


def test_without_a_link_a_clean_up_takes_what_the_others_must_leave(tmp_path: Path) -> None:
    """Everything that a link stands for in these tests, and that nothing holds, is deleted where it is no link."""
    fill(tmp_path / "home")
    assert command("gc", "--keep", "0", "--yes", home=tmp_path / "home") == 0
    taken = {place for place in (*FOLDERS, *FILES) if not (tmp_path / "home" / place).exists()}
    assert {f"artifacts/train/{V}", f"quarantine/train/{V}-1", "incoming/1-x.part", "trash/train-1"} <= taken


@pytest.mark.parametrize("place", [*FOLDERS, *FILES])
def test_nothing_behind_a_link_is_changed(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clean-up, repair and work on the store leave the other home folder as it is, and say where the link is."""
    mine, other = linked(tmp_path, place)
    before = look(other)
    command("gc", "--keep", "0", "--yes", home=mine)
    command("verify", "--all", "--repair", home=mine)
    said = "".join(capsys.readouterr())
    command("gc", "--keep", "0", "--yes", home=mine)
    for work in (lambda store: build(store, OLD, "train", salt=0), lambda store: record(store, "b" * 12, (0,))):
        with suppress(IdxflowError):
            work(Store(mine))
    assert look(other) == before
    if place in FOLDERS and not place.startswith(("artifacts/train/", "quarantine/train/")):
        assert re.search(rf"[/ ]{place}( is|: it is|: .*found) a link", said)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("place", [*FOLDERS, *FILES])
def test_a_run_changes_nothing_behind_a_link(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a home folder with a link completes, or is refused with the link's name; the other one stays."""
    from tests.artifacts.counting import counting

    mine, other = linked(tmp_path, place)
    monkeypatch.setenv("IDXFLOW_HOME", str(mine))
    before = look(other)
    try:
        run: Any = counting()
    except StoreError as error:
        assert "found a link" in str(error)
    else:
        assert run.state == "completed"
    assert look(other) == before


@pytest.mark.parametrize("place", ["artifacts", "incoming", "trash", "prefect"])
def test_a_linked_folder_of_the_home_is_refused_at_once(place: str, tmp_path: Path) -> None:
    """Whoever opens the store reads which link it is and what to do, and so does whoever would start a server."""
    mine, _ = linked(tmp_path, place)
    for refused in (lambda: Store(mine), lambda: Store(mine, create=False), lambda: prepare_environment(mine)):
        with pytest.raises(StoreError, match=rf"{mine / place}: .*found a link.*--home"):
            refused()


def test_the_home_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """A store on another disk is named by a link to the whole of it, or lies below one."""
    fill(tmp_path / "disk" / "home")
    (tmp_path / "home").symlink_to(tmp_path / "disk" / "home")
    (tmp_path / "far").symlink_to(tmp_path / "disk")
    for home in (tmp_path / "home", tmp_path / "far" / "home"):
        assert command("verify", home=home) == 1  # `fill` puts odd things there
        store = Store(home)
        build(store, OLD, "train", salt=7)
        assert store.is_committed("train", ref_of(7, "train").version)


@pytest.mark.parametrize(
    "change",
    [
        remove_folder,
        lambda path: move_folder(path, path.parent.parent / "taken"),
        lambda path: write_atomically(path / "precious", b"mine"),
    ],
    ids=["delete", "move", "write"],
)
def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(change: Callable[[Path], None], tmp_path: Path) -> None:
    """What was a folder when a person looked and is a link when it is changed: the change fails, and names the link."""
    (tmp_path / "other" / "deep").mkdir(parents=True)
    (tmp_path / "other" / "deep" / "precious").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    with pytest.raises(LinkRefused) as caught:
        change(tmp_path / "link" / "deep")
    assert caught.value.filename == str(tmp_path / "link")
    assert (tmp_path / "other" / "deep" / "precious").read_text() == "precious"


def test_what_is_no_folder_is_no_link(tmp_path: Path) -> None:
    """A file on the way, or nothing, is the usual error."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), parent_of(tmp_path / "file" / "a" / "b"):
        pass
    with pytest.raises(FileNotFoundError), parent_of(tmp_path / "gone" / "a" / "b"):
        pass
