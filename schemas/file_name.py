"""Names of a data set's files: what may be appended to a mirror, and what a file is called where it is stored."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator

from schemas.addresses import redact
from schemas.parameters import Wanted
from schemas.visible import visible

LONGEST = 255
"""Bytes of a name on the usual file systems."""
LONGEST_PATH = 1024
CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories of what cannot be printed in a line."""
STORED_HEAD, STORED_TAIL = 40, 80
_PAIR = r"[A-Za-z0-9._-]+=[A-Za-z0-9._~+,:@-]*"
_QUERY = re.compile(rf"{_PAIR}(?:&{_PAIR})*")
_SECRET = re.compile(
    r"auth(?!or)|cred|jwt|key|pass|pwd|secret|session|signature|(?<![a-z])sig(?![a-z])|token", re.IGNORECASE
)
"""What a parameter of a query is called that is a secret."""
_WINDOWS = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)
_STORE = re.compile(r"(?:manifest|result|record|hashed)\.json(?:\.|$)", re.IGNORECASE)
"""What the store itself calls its files, with or without a suffix that decompressing takes off."""


def wanted(name: str) -> str:
    """
    Say what a name of a file has to be where this one is not so; empty where it is.

    A name is a path below a mirror, with / between folders, written as people see it: spaces stay spaces. A query may
    follow, `?version=2`. The name is in records and messages, so a query that looks like a secret is refused. It never
    leads out of the mirror.
    """
    path, _, query = name.partition("?")
    if not path.strip() or name != name.strip():
        return "a name without spaces around it"
    if not printable(name):
        return "a name without control characters"
    if "://" in name or name.startswith(("/", "~/")) or re.match(r"[A-Za-z]:[\\/]", name):
        return "a name below a mirror (addresses and folders go into mirrors)"
    return _wanted_query(name, query) or _wanted_path(path, name)


def _wanted_query(name: str, query: str) -> str:
    if "${" in name or any(_SECRET.search(pair.partition("=")[0]) for pair in query.split("&")):
        return "a name without a secret (it goes into mirrors, as ?token=${TOKEN})"
    return "a query like ?version=2 behind the name" if "?" in name and not _QUERY.fullmatch(query) else ""


def _wanted_path(path: str, name: str) -> str:
    if "\\" in path:
        return "a name with / between folders"
    if any(folder in {"", ".", ".."} for folder in path.split("/")):
        return "a name inside of the mirror (no empty folder, no . and ..)"
    if re.search("%[0-9A-Fa-f]{2}", path):
        return f"a name that is not percent-encoded ({unquote(path)!r}?)"
    if len(name.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST for part in name.split("/")):
        return f"a name of at most {LONGEST} bytes, {LONGEST_PATH} with its folders,"
    return ""


def printable(text: str) -> bool:
    """
    Return whether a text can be shown in one line as it is.

    It has no control characters, line breaks, half characters, or marks that change the direction of what follows.
    """
    return visible(text) == text and not any(unicodedata.category(character) in CONTROL for character in text)


def stored_name(name: str) -> str:
    """
    Return what a file is called where it is stored: letters, digits, `.`, `_` and `-` of its name's last part.

    It is at most 125 characters long, begins with a letter or digit, and is no name of the store or of a device.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name.partition("?")[0].rpartition("/")[2])
    if not plain[:1].isalnum() or _WINDOWS.match(plain) or _STORE.match(plain):
        plain = f"file-{plain}"
    if len(plain) > STORED_HEAD + STORED_TAIL:
        plain = f"{plain[:STORED_HEAD]}-{plain[-STORED_TAIL:]}"  # the end says the format
    return plain


def _check(name: str) -> str:
    if wish := wanted(name):
        raise Wanted(wish, repr(redact(name)))
    return name


FileName = Annotated[str, AfterValidator(_check)]
"""What is appended to a mirror; see `wanted`."""
