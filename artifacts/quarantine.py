"""What was found damaged, put aside for a person to look at: `<home>/quarantine/<stage>/<version>-<n>/`."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

from artifacts import files
from artifacts.disk import disk

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

    def reason(self, group: str, name: str) -> str | None:
        """Return why a thing was last put in; None when it was not."""
        with contextlib.suppress(OSError):
            entries = [path for path in (self.folder / group).glob(f"{name}-*") if (path / name).exists()]
            last = max(entries, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
            return (last / REASON).read_text("utf-8", "replace") if last else None
        return None

    def _new_folder(self, group: str, name: str) -> Path:
        """Create a folder that nobody else fills."""
        files.make_folder(self.folder / group)
        numbers = itertools.count(1)
        while True:
            aside = self.folder / group / f"{name}-{next(numbers)}"
            with contextlib.suppress(FileExistsError):
                files.DISK.make_folder(aside)
                return aside
