"""Tampering with a whole store: never believed, never executed, healed by the next run or refused by its name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.store.store import Store
from tests.artifacts.counting import counting
from tests.faults.test_crashes import assert_sound

pytestmark = pytest.mark.usefixtures("prefect_server")
HOW = ["flip", "remove", "empty", "link", "dangling link", "folder", "pipe", "grow"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    """A store that a run has filled; tests copy it."""
    home = tmp_path_factory.mktemp("whole") / "home"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("IDXFLOW_HOME", str(home))
        counting()
    return home


def tamper(path: Path, how: str, position: int) -> None:
    """Do something to a file."""
    content = bytearray(path.read_bytes())
    path.unlink()
    match how:
        case "flip":
            content[position % len(content)] ^= 1 + position % 255
            path.write_bytes(content)
        case "grow":
            path.write_bytes(bytes(content) + b"\n")
        case "empty":
            path.write_bytes(b"")
        case "link":
            elsewhere = path.parent.parent / f"elsewhere-{position}"
            elsewhere.write_bytes(b"elsewhere")
            path.symlink_to(elsewhere)
        case "dangling link":
            path.symlink_to("nowhere")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)


def check_a_run_after(whole: Path, home: Path, choice: int, how: str, position: int) -> None:
    """Tamper with one stored file, then run: the run ends well, with the content that the first one had."""
    shutil.copytree(whole, home)
    files = sorted(path for path in home.glob("artifacts/*/[0-9a-f]*/*") if path.is_file())
    tamper(files[choice % len(files)], how, position)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("IDXFLOW_HOME", str(home))
        record: Any = counting()
    assert Path(record.model).read_text() == "123 one two"
    for stray in home.glob("artifacts/*/elsewhere-*"):
        assert stray.read_bytes() == b"elsewhere"
        stray.unlink()
    assert_sound(Store(home))


@pytest.mark.parametrize(
    "examples", [12, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])], ids=["short", "long"]
)
def test_a_run_heals_whatever_was_tampered_with(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, examples: int
) -> None:
    """A byte, or a file that is gone, empty, longer, a link, a folder or a pipe: the run rebuilds what it needs."""

    @settings(max_examples=examples, deadline=None)
    @given(choice=st.integers(0, 1000), how=st.sampled_from(HOW), position=st.integers(0, 10_000))
    def heals(choice: int, how: str, position: int) -> None:
        check_a_run_after(whole, tmp_path_factory.mktemp("tampered") / "home", choice, how, position)

    heals()


def test_a_folder_that_is_a_link_is_not_followed(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact's folder that leads elsewhere is not believed, and what lies there is not touched."""
    home, elsewhere = Path(shutil.copytree(whole, tmp_path / "home")), tmp_path / "elsewhere"
    folder = next(home.glob("artifacts/train/*"))
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    kept = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    monkeypatch.setenv("IDXFLOW_HOME", str(home))
    record: Any = counting()
    assert Path(record.model).read_text() == "123 one two"
    assert not folder.is_symlink()
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == kept


def test_a_store_that_is_copied_elsewhere_is_all_cached(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its inodes and times, as a copy on another machine has it, a store is believed after one hash."""
    home = tmp_path / "copied"
    shutil.copytree(whole, home, copy_function=shutil.copyfile)
    monkeypatch.setenv("IDXFLOW_HOME", str(home))
    record: Any = counting()
    assert all(stage.cached for stage in record.stages)
    assert Path(record.model).is_relative_to(home)
