"""Freshness: whether a mirror's file is still the one that was taken, asked without taking it again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from schemas.addresses import redact
from schemas.datasets import RemoteFile
from tasks.transport.mirror import MirrorFault, address_of, answering_within
from tasks.transport.part import Validators
from tasks.transport.reader import opened


class Answer(Enum):
    """What a mirror says of its file."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    UNKNOWN = "there, and nothing to compare by"
    NONE = "no answer"


def ask(file: RemoteFile, validators: Validators | None, seconds: float) -> Answer:
    """
    Ask the mirror that gave `file`, by If-None-Match and If-Modified-Since (RFC 9110, 13.1).

    Args:
        validators: what that mirror said when it gave the file; None: there is nothing to ask by.
        seconds:    the longest time until the status and headers of an answer are there, of each mirror.
    Returns: UNKNOWN where there is nothing to ask by, or that mirror is no longer in use, and a mirror has the file:
             then only its bytes show a change.
    """
    addresses = list(_addresses(file))
    if validators and (address := next((each for each in addresses if redact(each) == validators.address), None)):
        match _status(address, _conditions(validators), seconds):
            case HTTPStatus.NOT_MODIFIED:
                return Answer.UNCHANGED
            case HTTPStatus.OK:
                return Answer.CHANGED
            case _:
                return Answer.NONE
    there = any(_status(address, {}, seconds) == HTTPStatus.OK for address in addresses)
    return Answer.UNKNOWN if there else Answer.NONE


def _addresses(file: RemoteFile) -> Iterator[str]:
    """Yield where the mirrors have the file, secrets included."""
    for mirror in file.mirrors:
        with contextlib.suppress(MirrorFault):
            yield address_of(mirror, file.name)


def _conditions(validators: Validators) -> dict[str, str]:
    given = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified}
    return {name: value for name, value in given.items() if value}


def _status(address: str, conditions: dict[str, str], seconds: float) -> int | None:
    """Return the status of a mirror's answer, of a file's as well; None for no answer."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return HTTPStatus.OK if Path(url2pathname(parts.path)).is_file() else None
    try:
        # A GET whose body is left unread: some servers answer a HEAD without looking at its conditions.
        with opened(address, answering_within(seconds), headers=conditions) as answer:
            return answer.status
    except MirrorFault:
        return None


def has(mirror: str, name: str, seconds: float) -> bool:
    """Return whether a mirror says, within `seconds`, that it has a file."""
    try:
        status = _status(address_of(mirror, name), {}, seconds)
    except MirrorFault:
        return False
    return status == HTTPStatus.OK
