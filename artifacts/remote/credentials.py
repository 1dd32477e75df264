"""
Credentials of a remote: from the environment, or the files in which the providers' own tools keep them.

The engine reads the environment, and Google's and Azure's files. Amazon's `credentials` file is read here. Each secret
is remembered (`schemas.secrets`), so that no text shows it.
"""

from __future__ import annotations

import configparser
import os
from contextlib import suppress
from pathlib import Path

from schemas.secrets import remember

SECRET_WORDS = ("SECRET", "TOKEN", "KEY", "PASSWORD", "SIGNATURE")
PROVIDERS = ("AWS_", "GOOGLE_", "AZURE_")
NO_SECRET = frozenset({"AWS_ACCESS_KEY_ID", "AZURE_STORAGE_TOKEN_FILE"})
TAKEN = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
"""Lines of a credentials file, and what the engine calls them."""


def known_secrets() -> None:
    """Remember whatever the environment has that a provider would take for a secret."""
    for name, value in os.environ.items():
        if name.startswith(PROVIDERS) and name not in NO_SECRET and any(word in name for word in SECRET_WORDS):
            remember(value)


def aws_options() -> dict[str, str]:
    """
    Return the options that Amazon's files give, where the environment has no key of its own.

    The profile is that of AWS_PROFILE, else `default`. A file that does not read gives nothing: the server says no.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    profile = os.environ.get("AWS_PROFILE") or "default"
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, configparser.Error, UnicodeDecodeError):
        parser.read_string(path.read_text("utf-8"))
    if not parser.has_section(profile):
        return {}
    found = {TAKEN[name]: value for name, value in parser.items(profile) if name in TAKEN}
    for name in ("secret_access_key", "session_token"):
        if name in found:
            remember(found[name])
    return found
