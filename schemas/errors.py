"""Every error that idxflow raises on purpose, as one tree; each class stands below its parent."""

from __future__ import annotations

from schemas.secrets import conceal
from schemas.visible import visible


class IdxflowError(Exception):
    """
    An expected failure, in four parts: text without secrets, and fit for a terminal.

    Args:
        subject:  what the error is about: a file, an option, an artifact.
        expected: what should have been there.
        found:    what was there.
        way_out:  what a person can do about it.
    """

    def __init__(self, subject: str, *, expected: str, found: str, way_out: str) -> None:
        self.subject, self.expected, self.found, self.way_out = (
            visible(conceal(part)) for part in (subject, expected, found, way_out)
        )
        super().__init__(f"{self.subject}: expected {self.expected}, found {self.found}. {self.way_out}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.subject, self.expected, self.found, self.way_out)


def _rebuild(kind: type[IdxflowError], subject: str, expected: str, found: str, way_out: str) -> IdxflowError:
    return kind(subject, expected=expected, found=found, way_out=way_out)


class UsageError(IdxflowError):
    """A wrong option, value or data set name: nothing has run (exit code 2)."""


class StageError(IdxflowError):
    """A stage could not do its work (exit code 1)."""


class DownloadFailed(StageError):
    """No mirror gave the expected file."""


class ChecksumMismatch(StageError):
    """The bytes on the disk are not the expected ones."""


class BadGzip(StageError):
    """A compressed file (gzip, xz) is truncated, damaged, or followed by garbage."""


class BadIdx(StageError):
    """An IDX header or body is malformed, or the file is of another kind."""


class BadSource(StageError):
    """A folder, archive, table or file of arrays cannot be read as images with labels."""


class BadTable(StageError):
    """Images and labels do not belong together, or a table is not one of ours."""


class InvalidData(StageError):
    """A table breaks its schema."""


class TrainingDiverged(StageError):
    """The loss is no longer a number."""


class WorkerLost(StageError):
    """Every worker that was to do an execution was killed while it did."""


class UnforeseenError(StageError):
    """A library failed in a way that was not foreseen; its exception's type and text, without secrets."""


class TooLarge(IdxflowError):
    """A run would need more memory or disk than is free: no stage of it has begun (exit code 1)."""


class StoreError(IdxflowError):
    """The artifact store cannot be read or written."""


class ArtifactDamaged(StoreError):
    """A stored artifact is not what its manifest says."""


class ClusterError(IdxflowError):
    """The workers of a run cannot be started or reached, are gone, or are not fit for it (exit code 1)."""


class ServerError(IdxflowError):
    """The Prefect server cannot be found, started or stopped."""
