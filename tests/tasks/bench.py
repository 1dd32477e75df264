"""Where downloads are tried: folders, one file, and mirrors of it."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

from schemas.datasets import RemoteFile
from tasks.download import DownloadSummary, fetch
from tasks.transport.transfer import Patience
from tests.faults.mirror import Fault, Mirror

NAME = "t10k-labels-idx1-ubyte.gz"
BODY = gzip.compress(random.Random(2).randbytes(40_000), mtime=0)
SHA256 = hashlib.sha256(BODY).hexdigest()
CUT = 30_000
HASTY = Patience(backoff=0.001)


class Bench:
    """An `out` and a `scratch` folder, and the download between them."""

    def __init__(self, folder: Path) -> None:
        self.out, self.scratch = folder / "out", folder / "incoming"
        self.out.mkdir()
        self.scratch.mkdir()

    def get(
        self,
        *mirrors: str,
        file: RemoteFile | None = None,
        known: Callable[[str], Path | None] = lambda _: None,
        spare: Callable[[str], Path | None] = lambda _: None,
        patience: Patience = HASTY,
    ) -> DownloadSummary:
        """
        Download the file as the stage does, from a process that knows nothing of earlier ones but the folders.

        Where it does not fail, the file has come whole.
        """
        known_as = RemoteFile(name=NAME, bytes=len(BODY), sha256=SHA256, mirrors=())
        file = (file or known_as).model_copy(update={"mirrors": mirrors})
        kept = {"target": self.out / NAME, "scratch": self.scratch}
        summary = fetch(file, **kept, known=known, spare=spare, patience=patience)
        assert hashlib.sha256(kept["target"].read_bytes()).hexdigest() == file.sha256 == summary.sha256
        return summary

    def assert_empty(self) -> None:
        """Nothing has reached the artifact."""
        assert list(self.out.iterdir()) == []

    @property
    def parts(self) -> list[Path]:
        """Part files and notes in the working folder."""
        return [path for path in self.scratch.iterdir() if path.is_file()]


def served(*queue: Fault, tagged: bool = True, body: bytes = BODY) -> Mirror:
    """A mirror of the one file, with these faults first."""
    return Mirror({NAME: body}, queue, tagged=tagged)


def broken(fault: Fault, tagged: bool = True) -> Mirror:
    """A mirror that has this fault on every request."""
    return Mirror({NAME: BODY}, repeat(fault), tagged=tagged)
