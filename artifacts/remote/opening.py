"""Which backend keeps a remote, by its address: one line a scheme."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from artifacts.remote.backend import Backend
from artifacts.remote.folder import Folder
from schemas.errors import UsageError
from schemas.remote import RemotePlace

VARIABLES = {"url": "IDXFLOW_REMOTE__URL", "endpoint": "IDXFLOW_REMOTE__ENDPOINT", "region": "IDXFLOW_REMOTE__REGION"}
"""The environment variables of the settings: a run and what it starts read the remote there."""


def remote_place() -> RemotePlace:
    """Return the remote that the environment names, or none. Raises: UsageError: its address is none."""
    return RemotePlace(**{name: os.environ.get(variable) or None for name, variable in VARIABLES.items()})


def variables_of(place: RemotePlace) -> dict[str, str]:
    """Return the variables by which `remote_place` finds a remote; what it does not have is empty."""
    return {variable: getattr(place, name) or "" for name, variable in VARIABLES.items()}


def require_engine(place: RemotePlace) -> None:
    """See that what a remote needs is installed; a folder needs nothing. Raises: UsageError: it is not."""
    if place and place.scheme != "file" and find_spec("obstore") is None:
        raise UsageError(
            f"remote {place}",
            expected="obstore to be installed",
            found="no obstore",
            way_out="Install idxflow with its extra `remote`: `pip install 'idxflow[remote]'`. Nothing has run.",
        )


def open_backend(place: RemotePlace) -> Backend:
    """Return what keeps a remote; nothing is asked yet. Raises: UsageError: what it needs is not installed."""
    require_engine(place)
    if place.scheme == "file":
        return Folder(Path(unquote(urlsplit(str(place.url)).path)), place)
    from artifacts.remote.objects import Objects

    return Objects(place)
