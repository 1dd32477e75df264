"""A new folder, whole or not there: built aside on its own disk, flushed, and given its name last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from artifacts.store import files
from schemas.errors import StoreError, UsageError

MODE = 0o644


@dataclass(frozen=True)
class Staged:
    """
    A folder that is being built.

    Args:
        folder:  where its files go, below the name that it will have.
        scratch: beside it, for what is needed on the way.
    """

    folder: Path
    scratch: Path

    def add(self, name: str, content: bytes) -> None:
        """Write a file. Args: name: below the folder, with slashes."""
        path = self.folder / name
        files.make_folder(path.parent)
        files.write_new(path, content)

    def names(self) -> list[str]:
        """List the files, in code-point order, as they are called below the folder, with slashes."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if not path.is_dir())

    def sums(self) -> bytes:
        """Return the SHA-256 of every file, as `sha256sum` writes and reads them."""
        lines = [f"{files.sha256_of(self.folder / name)}  {name}\n" for name in self.names()]
        return "".join(lines).encode()

    def seal(self) -> dict[str, int]:
        """Make every file readable and flush it, also one that a library has written. Returns: bytes by name."""
        for name in self.names():
            files.DISK.protect(self.folder / name, MODE)
            files.sync(self.folder / name)
        for path in (self.folder, *self.folder.rglob("*")):
            if path.is_dir():
                files.sync(path)
        return {name: (self.folder / name).stat().st_size for name in self.names()}


@contextmanager
def staged(target: Path) -> Iterator[Staged]:
    """
    Give a folder to be filled, which becomes `target` at the end; after an error nothing is left of it.

    Raises: StoreError: the disk.
    """
    aside = next(each for each in target.parents if each.is_dir()) / f".{target.name}.{os.getpid()}"
    # The name is its own already: a signature holds it.
    building = Staged(aside / "built" / target.name, aside / "scratch")
    with writable(target):
        try:
            files.remove_folder(aside)
            files.make_folder(building.folder)
            files.make_folder(building.scratch)
            yield building
            files.move_folder(building.folder, target)
        finally:
            with suppress(OSError):
                files.remove_folder(aside)


def refuse_occupied(target: Path) -> None:
    """Accept a new folder, or an empty one that is not the working folder. Raises: UsageError; StoreError: the disk."""
    with writable(target):
        if not os.path.lexists(target) or (target.is_dir() and target != Path.cwd() and not any(target.iterdir())):
            return
        found = "the working folder" if target == Path.cwd() else "one with files" if target.is_dir() else "a file"
    raise UsageError(
        str(target), expected="a new or empty folder", found=found, way_out="Name another. Nothing was exported."
    )


@contextmanager
def writable(target: Path) -> Iterator[None]:
    """Turn an error of the disk into a StoreError that names the target."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            str(target),
            expected="a folder that can be written",
            found=error.strerror or str(error),
            way_out="Free space, mend the rights of the folder above it, or name another. Nothing was exported.",
        ) from error
