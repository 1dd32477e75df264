"""
What living runs use, so that clean-up leaves it alone.

A run holds an artifact by a line in its own file, `<home>/holds/<run>`, written while the artifact's lock is still
held; the file is locked for as long as the run's process lives, and the kernel frees it however that ends. Nobody but
a clean-up that starts later deletes the file of a dead run: what ended during a clean-up is held until its end.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Self

from artifacts.store import files
from artifacts.store.disk import disk, open_plainly
from artifacts.store.files import read_plain
from artifacts.store.flock import OPENING, delete_unlocked, is_locked, try_lock

_LASTING: ContextVar[contextlib.ExitStack | None] = ContextVar("lasting", default=None)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """
    Let what runs hold that end in this block be held until its end: whoever tells of them still reads it.

    Within another such block it is that one's end.
    """
    if _LASTING.get():
        yield
        return
    with contextlib.ExitStack() as stack:
        token = _LASTING.set(stack)
        try:
            yield
        finally:
            _LASTING.reset(token)


def let_go(close: Callable[[], None]) -> None:
    """Call `close` now, or at the end of the `lasting` block that this is in."""
    if stack := _LASTING.get():
        stack.callback(close)
    else:
        close()


class Hold:
    """
    The artifacts that one run uses.

    Args:
        folder: `<home>/holds`.
        name:   of the run, or of whatever else reads artifacts; unique among the living.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._guard = threading.Lock()
        with disk(folder):
            files.make_folder(folder)
            path = folder / name
            while (descriptor := try_lock(path, OPENING | os.O_APPEND)) is None:
                time.sleep(0.001)  # a clean-up is looking at a file of this name
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def add(self, stage: str, version: str) -> None:
        """
        Hold an artifact; from any thread. Whoever calls holds the artifact's lock, or knows that it is held.

        After `release` it does nothing: the number of a closed descriptor soon belongs to another file.

        Raises: StoreError: the disk.
        """
        with self._guard, disk(self._folder):
            if self._descriptor is not None:
                # It begins a line of its own: one that a full disk has torn takes no other with it.
                files.DISK.write(self._descriptor, f"\n{stage}/{version}\n".encode())

    def release(self) -> None:
        """Let go. What was held stays so until a later clean-up begins."""
        with self._guard:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None


def hold(folder: Path, name: str, stage: str, version: str) -> None:
    """
    Hold an artifact for a run of whatever process on this host; otherwise as `Hold.add`.

    Of a run that lives elsewhere, or has ended, nothing is held.

    Raises: StoreError: the disk.
    """
    hold_all(folder, name, [(stage, version)])


def hold_all(folder: Path, name: str, artifacts: Sequence[tuple[str, str]]) -> None:
    """
    Hold artifacts by one write; otherwise as `hold`. Whoever calls holds their locks, or is in `Store.holding`.

    Raises: StoreError: the disk.
    """
    if not artifacts:
        return
    with disk(folder), contextlib.suppress(FileNotFoundError):
        descriptor = open_plainly(folder / name, os.O_WRONLY | os.O_APPEND)
        try:
            lines = "".join(f"\n{stage}/{version}\n" for stage, version in artifacts)
            files.DISK.write(descriptor, lines.encode())
        finally:
            os.close(descriptor)


def is_alive(folder: Path, name: str) -> bool:
    """Tell whether the process that holds under this name lives; one that nobody may ask about does."""
    try:
        return is_locked(folder / name)
    except OSError:
        return True


def forget_dead(folder: Path, before: float | None = None) -> None:
    """
    Delete the files of those who are dead: at the start of a clean-up, before it reads what runs recorded.

    Args: before: seconds since the epoch; only what was last written before. What is older than any clean-up lasts
                  can go at any time.
    """
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            if before is None or path.lstat().st_mtime < before:
                delete_unlocked(path)


class Held:
    """
    Everything that is held, read again where it has grown.

    Args: only_living: leave out what runs held that were dead by the time this object was made.
    """

    def __init__(self, folder: Path, *, only_living: bool = False) -> None:
        self._folder = folder
        names = {path.name for path in folder.glob("*")} if only_living else set()
        self._dead = {name for name in names if not is_alive(folder, name)}
        self._sizes: dict[str, int] = {}
        self._held: set[tuple[str, str]] = set()

    def __contains__(self, artifact: object) -> bool:
        for entry in os.scandir(self._folder) if self._folder.is_dir() else ():
            # A file that is gone: another clean-up has just begun, and its run is dead. A folder: nobody's.
            with contextlib.suppress(OSError):
                size = entry.stat(follow_symlinks=False).st_size
                if entry.name not in self._dead and size != self._sizes.get(entry.name):
                    self._sizes[entry.name] = size
                    lines = read_plain(Path(entry.path)).decode(errors="replace").splitlines()
                    self._held.update((stage, version) for stage, _, version in (line.partition("/") for line in lines))
        return artifact in self._held
