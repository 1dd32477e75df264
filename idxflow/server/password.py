"""
The password of a home folder's Prefect server: generated once, in a file that only its owner can read.

Server and clients get it by their environment; it is in no argument list, log or record.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from artifacts.store.files import write_atomically
from schemas.errors import ServerError

CHOSEN = "PREFECT_SERVER_API_AUTH_STRING"
"""The variable that sets the password of a server to be started."""


def private_folder(home: Path) -> Path:
    """Return the folder of the server's database, log and password, accessible to its owner alone."""
    folder = home / "prefect"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_mode & 0o077:  # as an older idxflow left it
        folder.chmod(0o700)
    return folder


def password_file(home: Path) -> Path:
    """Return the path of the password."""
    return home / "prefect" / "password"


def keep_password(home: Path) -> str:
    """
    Return the password for a server that is about to start: the one that is set, else this home folder's own.

    The caller holds the lock of the home folder.
    """
    private_folder(home)
    path = password_file(home)
    chosen = os.environ.get(CHOSEN) or _kept(path) or f"idxflow:{secrets.token_urlsafe(24)}"
    if _kept(path) != chosen:
        write_atomically(path, f"{chosen}\n".encode())  # the folder is its owner's alone
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return chosen


def read_password(home: Path) -> str:
    """Return the password of the server of `home`. Raises: ServerError: no server was ever started there."""
    if (found := _kept(password_file(home))) is None:
        raise ServerError(
            f"Prefect server of {home}",
            expected="a password",
            found="none: no server of this home folder was started yet",
            way_out="Start one with `idxflow server start`, or name the folder with --home.",
        )
    return found


def _kept(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None
