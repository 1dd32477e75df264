"""
The system calls by which something comes to count in the store, or goes: the seam at which a test makes a disk fail.

Not among them is what counts only once it was hashed: what stages write into their staging folders, Prefect's
`result.json`, half downloads; nor the opening of locks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import StoreError


class Disk:
    """The real disk. Each method is one step: all that a crash can fall between."""

    def make_folder(self, path: Path) -> None:
        """Create one folder."""
        path.mkdir()

    def create(self, path: Path) -> int:
        """Create a file, or empty it. Returns: its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def write(self, descriptor: int, content: bytes) -> None:
        """Write all of `content`."""
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, descriptor: int) -> None:
        """Flush a file, or the entries of a folder."""
        os.fsync(descriptor)

    def protect(self, path: Path, mode: int) -> None:
        """Set the permissions."""
        path.chmod(mode)

    def rename(self, source: Path, target: Path) -> None:
        """Move a file over another, or a folder to where there is none."""
        source.rename(target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, never one that is taken."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Delete a file, a link or a device node."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn an error of the disk into a StoreError that names the folder."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            str(path),
            expected="a folder that can be read and written",
            found=f"{error.strerror or error}",
            way_out="Free space or mend the folder's rights, or choose another with --home.",
        ) from error
