"""
The password of a home folder's Prefect server: made once, kept in a file that only its owner can read.

It goes to the server and to our own clients by their environment, and into no argument list, log or record.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from artifacts.store.files import write_atomically
from schemas.errors import ServerError

CHOSEN = "PREFECT_SERVER_API_AUTH_STRING"
"""The variable by which a person chooses the password of a server that is started."""


def private_folder(home: Path) -> Path:
    """Return the folder of the server's database, log and password, made for its owner alone."""
    folder = home / "prefect"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_mode & 0o077:  # an older idxflow let everybody in
        folder.chmod(0o700)
    return folder


def password_file(home: Path) -> Path:
    """Return the path of the password."""
    return home / "prefect" / "password"


def keep_password(home: Path) -> str:
    """
    Return the password for a server that is about to start: the one that a person has set, else this home's own.

    Whoever starts a server holds the lock of its home folder.
    """
    private_folder(home)
    path = password_file(home)
    chosen = os.environ.get(CHOSEN) or _kept(path) or f"idxflow:{secrets.token_urlsafe(24)}"
    if _kept(path) != chosen:
        write_atomically(path, f"{chosen}\n".encode())  # nobody else enters the folder meanwhile
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return chosen


def read_password(home: Path) -> str:
    """
    Return the password of the server of `home`.

    Raises: ServerError: no server was ever started there.
    """
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
