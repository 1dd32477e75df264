"""Holds: what a living process uses is held, and what a dead one used until the next clean-up begins."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from artifacts.store.holds import Held, Hold, forget_dead, is_alive
from tests.processes import ready

ONE, TWO = ("parse", "1" * 16), ("train", "2" * 16)


def test_what_a_run_uses_is_held_until_a_later_clean_up(tmp_path: Path) -> None:
    """A hold is seen at once, also by who looked before; it outlives its run until the dead are forgotten."""
    held = Held(tmp_path)
    with Hold(tmp_path, "run") as hold:
        hold.add(*ONE)
        assert ONE in held
        assert TWO not in held
        hold.add(*TWO)
        assert TWO in held
        forget_dead(tmp_path)
        assert TWO in Held(tmp_path)
        assert TWO in Held(tmp_path, only_living=True)
    assert TWO in Held(tmp_path)
    assert TWO not in Held(tmp_path, only_living=True)
    forget_dead(tmp_path)
    assert TWO not in Held(tmp_path)
    assert ONE in held  # a clean-up that began before goes by what it saw


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """Before the first run there is nothing to read, and nothing to forget."""
    assert ONE not in Held(tmp_path / "holds")
    forget_dead(tmp_path / "holds")
    assert not is_alive(tmp_path / "holds", "run")


def test_a_killed_process_holds_nothing_for_long(tmp_path: Path) -> None:
    """The kernel frees the hold of a process that is killed: it is dead, whatever its file says."""
    hold = f"hold = Hold(PosixPath({str(tmp_path)!r}), 'run'); hold.add('parse', '{'1' * 16}')"
    with ready(f"from pathlib import PosixPath; from artifacts.store.holds import Hold; {hold}"):
        assert is_alive(tmp_path, "run")
    assert not is_alive(tmp_path, "run")
    assert ONE in Held(tmp_path)
    forget_dead(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_among_the_holds_is_nobody(tmp_path: Path) -> None:
    """It is not waited at, and holds nothing."""
    os.mkfifo(tmp_path / "run")
    assert not is_alive(tmp_path, "run")
    assert ONE not in Held(tmp_path, only_living=True)


def test_a_clean_up_never_takes_the_file_of_a_run_that_begins(tmp_path: Path) -> None:
    """However runs begin while the dead are forgotten, each of the living has a file that others see."""
    stop = threading.Event()

    def forget() -> None:
        while not stop.is_set():
            forget_dead(tmp_path)

    cleaner = threading.Thread(target=forget)
    cleaner.start()
    try:
        for number in range(300):
            with Hold(tmp_path, f"{os.getpid()}-{number % 3}") as hold:
                hold.add("parse", f"{number:016x}")
                assert ("parse", f"{number:016x}") in Held(tmp_path, only_living=True)
    finally:
        stop.set()
        cleaner.join()
