"""A password for the temporary server that Prefect starts for a flow where no API is chosen: it has none of its own."""

from __future__ import annotations

import os
import secrets

from prefect.context import refresh_global_settings_context
from prefect.settings import PREFECT_API_URL


def lock_temporary_server() -> None:
    """
    Have Prefect start its temporary server, if it starts one, with a random password that only this process knows.

    Without one any user of the machine, and any page that its user visits, could read the run and start others.
    """
    if PREFECT_API_URL.value():
        return
    password = os.environ.setdefault("PREFECT_SERVER_API_AUTH_STRING", f"idxflow:{secrets.token_urlsafe(24)}")
    os.environ["PREFECT_API_AUTH_STRING"] = password
    os.environ.setdefault("PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED", "true")
    os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://127.0.0.1")
    # A new database alone takes 14 s of a slow machine, and Prefect gives up after 20.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    refresh_global_settings_context()
