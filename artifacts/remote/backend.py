"""
What a remote is kept by: five verbs, and a replacement on condition. `tests/suites/backends.py` says what each must do.

Every object is at most `PIECE` bytes, or a record of at most `LARGEST_DOCUMENT`, so that each verb has the whole
content in memory; what is larger is cut into pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.remote import RemoteError

PIECE = 8 * 2**20
"""Bytes of an object at most, but for documents."""
LARGEST_DOCUMENT = 16 * 2**20
"""Bytes above which a document is none of idxflow's."""
NAME = re.compile(r"[a-z0-9][A-Za-z0-9._@+-]{0,250}(?:/[A-Za-z0-9][A-Za-z0-9._@+-]{0,250}){0,4}")
"""Names of objects. No part begins with a dot: none leads out of a folder."""


@dataclass(frozen=True)
class Entry:
    """An object as a list tells of it. `modified`: by the server's clock."""

    name: str
    bytes: int
    modified: datetime


@dataclass(frozen=True)
class Got:
    """
    What an object holds.

    Args: tag: of this state of it, for `replace`; two states with the same content may have the same one.
    """

    content: bytes | memoryview
    tag: str


class RemoteAway(RemoteError):
    """A remote does not answer in time, not at all, or by an error of its own."""


class RemoteOdd(RemoteError):
    """One object is not what it may be: too large, no file, cut off. Others may be all right."""


class Backend(Protocol):
    """
    What a remote is kept by; every method may be called from any thread.

    All raise RemoteAway where there is no answer within the backend's own time-outs, RemoteOdd where that cannot be
    believed, and RemoteError where the server refuses. No message holds a secret.
    """

    def get(self, name: str, most: int) -> Got | None:
        """
        Return an object's content.

        Args:    most: bytes above which it is refused, before they are read.
        Returns: None where there is none.
        """

    def put_new(self, name: str, content: bytes | memoryview) -> bool:
        """
        Create an object, whole or not at all; one that is there stays as it is.

        Returns: whether this call created it, as far as is known: after a lost answer it may have, and False is
                 returned. Who must know reads it again.
        """

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """
        Compare and swap: replace an object's content if it is in the state that a tag stands for.

        Returns: False where it is in another state, or gone; after a lost answer as `put_new`.
        """

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield all objects below a folder, `prefix` ending with /, in no order; those of odd names are left out."""

    def stat(self, name: str) -> Entry | None:
        """Return an object's size and date, None where there is none."""

    def delete(self, name: str) -> None:
        """Delete an object; none there is no error."""


def checked_name(name: str) -> str:
    """Return the name of an object. Raises: ValueError: it is none that idxflow gives."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an object")
    return name
