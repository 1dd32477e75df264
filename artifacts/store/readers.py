"""
Who reads an artifact right now: one that is rebuilt waits for them before it takes the old one's place.

A stage opens its input files when it comes to them, by their paths. The lock is the artifact's own, beside that of its
version: whoever rebuilds an artifact lets others read the old one meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from artifacts.ref import Ref
from artifacts.store.disk import disk
from artifacts.store.flock import locked, try_lock

logger = logging.getLogger("idxflow.store")


class Readers:
    """The readers of a store's artifacts. Args: folder: `<home>/locks`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def reading(self, refs: Iterable[Ref]) -> Iterator[None]:
        """
        Keep artifacts in their places for as long as the block runs.

        Raises: StoreError: locks cannot be made here.
        """
        with contextlib.ExitStack() as held:
            with disk(self._folder):
                for path in sorted({self._path(ref.stage, ref.version) for ref in refs}):
                    held.enter_context(locked(path, shared=True))
            yield

    @contextlib.contextmanager
    def waited_for(self, stage: str, version: str) -> Iterator[None]:
        """Wait until nobody reads an artifact, and let nobody begin to before the block ends."""
        path = self._path(stage, version)
        if (descriptor := try_lock(path)) is None:
            logger.info("%s %s: somebody reads the one that it replaces; waiting", stage, version)
        else:
            os.close(descriptor)
        with locked(path):
            yield

    def _path(self, stage: str, version: str) -> Path:
        return self._folder / f"{stage}-{version}-readers.lock"
