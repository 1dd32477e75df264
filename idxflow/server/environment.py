"""The process environment of a run, set before Prefect or TensorFlow is imported. Variables that are set are kept."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path

from artifacts.remote.opening import variables_of
from artifacts.store.files import write_atomically
from artifacts.store.links import OWN, refuse_links
from idxflow.server.database import CHOSEN, OTHERS, database_url
from idxflow.server.password import private_folder
from schemas.errors import StoreError
from schemas.remote import RemotePlace

IGNORE = ".gitignore"
OWN_FILES = ("remote", "page.html", "server.json", "server.lock", "up.lock")
"""What lies in a home folder beside the store's folders."""


def prepare_environment(
    home: Path, *, verbose: bool = False, ephemeral: bool = False, remote: RemotePlace | None = None
) -> None:
    """
    Set the environment variables that the lower floors, Prefect and TensorFlow read.

    Args:
        home:      absolute path of the folder of all run-time data.
        verbose:   let the libraries log.
        ephemeral: the run uses a server of its own, whatever API is configured.
        remote:    of the runs; None: the one that the environment names, if any.
    Raises: StoreError: a folder of the home folder is a link.
    """
    refuse_links(home)
    ignore_home(home)
    os.environ["IDXFLOW_HOME"] = str(home)
    if remote:
        os.environ.update(variables_of(remote))
    prefect = home / "prefect"
    if ephemeral:
        private_folder(home)  # a server creates its database, but not the folder
        os.environ.pop("PREFECT_API_URL", None)
    defaults = {
        "PREFECT_SERVER_MEMO_STORE_PATH": str(prefect / "memo_store.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A server that loses its leases in a restart never frees the slots of runs that end meanwhile.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        # The console is ours: Prefect's log and our loggers' lines go to its API.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO" if verbose else "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "ERROR" if verbose else "CRITICAL",  # it goes to the console alone
        "PREFECT_LOGGING_LEVEL": "INFO",
        # The state of the task run already shows that a stage has finished, and how.
        "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "idxflow",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    # A Prefect profile that names an API stays active, with its keys: Prefect reads it from its own home.
    if ephemeral or profile_api_url() is None:
        defaults["PREFECT_HOME"] = str(prefect)
    if not any(name in os.environ for name in (CHOSEN, *OTHERS)):
        defaults[CHOSEN] = database_url(home)
    if not verbose:
        defaults["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        defaults["PREFECT_API_AUTH_STRING"] = password
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def ignore_home(home: Path) -> None:
    """
    Have git leave a home folder alone, also one that does not exist yet, by a file in it.

    Not where anything but idxflow's own lies in it: `--home .` is somebody's project.
    """
    with suppress(OSError, StoreError):  # whoever cannot write there is told so when it matters
        there = {entry.name for entry in os.scandir(home)} if home.is_dir() else set[str]()
        if IGNORE not in there and there <= {*OWN, *OWN_FILES}:
            write_atomically(home.resolve() / IGNORE, b"# What idxflow keeps here belongs into no repository.\n*\n")


def user_api_url() -> str | None:
    """Return the configured Prefect API: PREFECT_API_URL, or that of the active Prefect profile."""
    return os.environ.get("PREFECT_API_URL") or profile_api_url()


def profile_api_url() -> str | None:
    """Return PREFECT_API_URL of the active Prefect profile, without importing Prefect."""
    folder = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    file = Path(os.environ.get("PREFECT_PROFILES_PATH") or folder / "profiles.toml")
    try:
        profiles = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    url = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return str(url) if url else None
