"""Which backend keeps a remote, by its address: one line a scheme."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from artifacts.remote.backend import Backend
from artifacts.remote.folder import Folder
from schemas.remote import RemotePlace

VARIABLES = {"url": "IDXFLOW_REMOTE__URL", "endpoint": "IDXFLOW_REMOTE__ENDPOINT", "region": "IDXFLOW_REMOTE__REGION"}
"""The environment variables of the settings: a run and what it starts read the remote there."""


def remote_place() -> RemotePlace:
    """Return the remote that the environment names, or none. Raises: UsageError: its address is none."""
    return RemotePlace(**{name: os.environ.get(variable) or None for name, variable in VARIABLES.items()})


def open_backend(place: RemotePlace) -> Backend:
    """Return what keeps a remote; nothing is asked yet. Raises: UsageError: what it needs is not installed."""
    if place.scheme == "file":
        return Folder(Path(unquote(urlsplit(str(place.url)).path)), place)
    from artifacts.remote.objects import Objects

    return Objects(place)
