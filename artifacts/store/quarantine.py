"""What was found damaged, put aside for a person to look at: `<home>/quarantine/<stage>/<version>-<n>/`."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from artifacts.store import files
from artifacts.store.disk import disk
from artifacts.store.files import read_plain

REASON = "reason.txt"
"""Beside what lies in quarantine: what was wrong with it."""


class Quarantine:
    """The folder of what cannot be believed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, damaged: Path, group: str, reason: str) -> Path | None:
        """
        Move a file or folder in.

        Args:    group: the folder's subfolder: a stage, or what else the thing is.
        Returns: where it lies now; None when somebody else was faster.
        Raises:  StoreError: the disk.
        """
        with disk(self.folder):
            aside = self._new_folder(group, damaged.name)
            # The reason first: a folder without the thing is harmless, a thing without its reason a riddle.
            files.write_atomically(aside / REASON, reason.encode())
            try:
                files.move_folder(damaged, aside / damaged.name)
            except FileNotFoundError:
                files.remove_folder(aside)
                return None
        return aside / damaged.name

    def reason(self, group: str, name: str, since: datetime | None = None) -> str | None:
        """Return why a thing was last put in; None when it was not, or not since a moment."""
        entries = {int(number[1]): path for path, number in self._entries(group, name) if os.path.lexists(path / name)}
        with contextlib.suppress(OSError, ValueError):
            last = entries[max(entries)] / REASON
            if since is None or last.lstat().st_mtime >= since.timestamp():
                return read_plain(last).decode(errors="replace")
        return None

    def _entries(self, group: str, name: str) -> Iterator[tuple[Path, re.Match[str]]]:
        for path in (self.folder / group).glob(f"{name}-*"):
            if number := re.fullmatch(r"-(\d{1,9})", path.name.removeprefix(name)):
                yield path, number

    def _new_folder(self, group: str, name: str) -> Path:
        """Create a folder that nobody else fills."""
        files.make_folder(self.folder / group)
        numbers = itertools.count(1)
        while True:
            aside = self.folder / group / f"{name}-{next(numbers)}"
            with contextlib.suppress(FileExistsError):
                files.DISK.make_folder(aside)
                return aside
