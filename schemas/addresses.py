"""
Addresses of mirrors: what may stand in one, where its secrets come from, and what may be shown of it.

A run's parameters are kept and shown, so a secret is never part of one. It stands in an environment variable of the
process that does the work, and the address refers to it: `https://alice:${MIRROR_PASSWORD}@host/mnist/`,
`https://host/mnist/?token=${MIRROR_TOKEN}`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field

from schemas.errors import UsageError
from schemas.secrets import remember

_REFERENCE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_USER = rf"(?:(?:[^/?#@:]+:)?{_REFERENCE}@)?"
_QUERY = rf"(?:\?(?:[^=&#{{}}]+=)?{_REFERENCE}(?:&(?:[^=&#{{}}]+=)?{_REFERENCE})*)?"
PATTERN = rf"^(?:https?://{_USER}[^/?#@{{}}]+(?:/[^?#{{}}]*)?{_QUERY}|file:[^?#]*|[^:?#]+)$"
"""Addresses without secrets; as Python, Rust (pydantic), and JavaScript (the dashboard's form) understand it alike."""

MirrorAddress = Annotated[str, Field(pattern=PATTERN)]


def redact(address: str) -> str:
    """Return an address without user, password, query and fragment: fit for logs and messages."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "a malformed address"
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return address if shown == parts else shown.geturl()


def refuse_secrets(address: str) -> str:
    """
    Return an address that may be a parameter of a run.

    Raises: UsageError: it holds a user, password, query or fragment as it is, or is no address at all.
    """
    if not re.fullmatch(PATTERN, address):
        raise UsageError(
            f"mirror {redact(address)}",
            expected="an address without secrets: parameters are kept, and shown to all",
            found="a user, password, query or fragment in it",
            way_out="Write ${NAME} for the value of an environment variable, as in https://alice:${PASSWORD}@host/ and "
            "https://host/?token=${TOKEN}, or leave user and password to a .netrc file.",
        )
    return address


def refuse_windows_path(subject: str, path: str) -> None:
    r"""Refuse what only Windows would find: `C:\data`, `\\server\data`. Raises: UsageError: it is such a path."""
    if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        raise UsageError(
            subject,
            expected="a path of this machine, with / between folders",
            found=f"the Windows path {path}",
            way_out="In WSL, C:\\data is /mnt/c/data.",
        )


def below_home(path: str) -> Path:
    """Return a path, with `~` for the user's home folder; a `~` of an unknown user stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def fill(address: str, environment: Mapping[str, str]) -> str:
    """
    Return an address with the values that it refers to: percent-encoded in user and password.

    In a query they stand as they are, but for what cannot stand in one: a value may be a query of several parts.

    Raises: UsageError: there is no such variable in the environment.
    """

    def value_of(reference: re.Match[str]) -> str:
        name = reference[0][2:-1]
        if not environment.get(name):
            raise UsageError(
                f"mirror {address}",
                expected=f"the environment variable {name}",
                found="none of this name",
                way_out="Set it where the run does its work: for a deployment, in its worker's environment.",
            )
        remember(value := environment[name])
        return value

    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    user, at, host = parts.netloc.rpartition("@")
    for given in (user.partition(":")[2], parts.query):
        if given and not re.search(_REFERENCE, given):
            remember(unquote(given))
    user = re.sub(_REFERENCE, lambda reference: quote(os.fsencode(value_of(reference)), safe=""), user)
    query = re.sub(_REFERENCE, lambda reference: _in_query(value_of(reference)), parts.query)
    return parts._replace(netloc=user + at + host, query=query).geturl()


def _in_query(value: str) -> str:
    """Return a value as it may stand in a query (RFC 3986, 3.4): other characters percent-encoded, a lone % as well."""
    encoded = quote(os.fsencode(re.sub("%(?![0-9A-Fa-f]{2})", "%25", value)), safe="%!$&'()*+,;=:@/?-._~")
    remember(encoded)
    return encoded
