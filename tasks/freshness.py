"""Freshness: whether a mirror's file is still the one that was taken, asked without taking it again."""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus

import requests

from schemas.addresses import redact
from schemas.datasets import RemoteFile
from tasks.address import address_of
from tasks.part import MirrorFault, Validators


class Answer(Enum):
    """What a mirror says of its file."""

    UNCHANGED = "unchanged"
    CHANGED = "changed, or not known to be the same"
    NONE = "no answer"


def ask(file: RemoteFile, validators: Validators | None, seconds: float) -> Answer:
    """
    Ask the mirror that gave `file`, by If-None-Match and If-Modified-Since (RFC 9110, 13.1).

    Args:
        validators: what that mirror said when it gave the file; None: there is nothing to ask by.
        seconds:    the longest time for a connection, and for an answer.
    Returns: CHANGED also where the mirror is no longer in use, or there is nothing to ask by: then only its bytes tell.
    """
    address = _mirror_of(file, validators)
    if validators is None or address is None:
        return Answer.CHANGED
    headers = {"Accept-Encoding": "identity", "User-Agent": "idxflow"}
    if validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    try:
        # A GET whose body is left unread: some servers answer a HEAD without looking at its conditions.
        with requests.get(address, headers=headers, timeout=seconds, stream=True) as response:
            status = response.status_code
    except requests.RequestException:
        return Answer.NONE
    if status == HTTPStatus.NOT_MODIFIED:
        return Answer.UNCHANGED
    return Answer.CHANGED if status == HTTPStatus.OK else Answer.NONE


def _mirror_of(file: RemoteFile, validators: Validators | None) -> str | None:
    """Return the address, secrets included, that the validators are of; None where no mirror has it any more."""
    for mirror in file.mirrors:
        try:
            address = address_of(mirror, file.name)
        except MirrorFault:
            continue
        if validators and redact(address) == validators.address and address.startswith("http"):
            return address
    return None
