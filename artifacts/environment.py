"""Where an artifact was made: interpreter, packages, platform, numerics settings, git commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

PACKAGES = ("idxflow", "tensorflow", "keras", "numpy", "prefect", "pandera", "pyarrow", "requests")
NUMERICS = ("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
"""Variables that decide the bits of a result beside the versions."""


def home_folder() -> Path:
    """Return the folder of all run-time data: IDXFLOW_HOME, or `.idxflow` in the working folder."""
    return Path(os.environ.get("IDXFLOW_HOME") or ".idxflow").absolute()


class Environment(BaseModel):
    """What stands in a manifest about the machine and the software; nothing that tells whose machine it is."""

    model_config = ConfigDict(frozen=True)
    python: str
    platform: str
    cores: int
    packages: dict[str, str]
    numerics: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """
    Return the version of each package, from its metadata: nothing is imported.

    Of one that was imported it is what it was when that was first asked: what is installed later does not run.
    """
    return {name: _of_imported(name) if name in sys.modules else metadata.version(name) for name in names}


@cache
def _of_imported(name: str) -> str:
    return metadata.version(name)


@cache
def current_environment() -> Environment:
    """Describe this process's environment."""
    commit = _git("rev-parse", "HEAD")
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cores=os.cpu_count() or 1,
        packages=package_versions(PACKAGES),
        numerics={name: os.environ[name] for name in NUMERICS if name in os.environ},
        git_commit=commit,
        git_dirty=None if commit is None else _git("status", "--porcelain") != "",
    )


def _git(*arguments: str) -> str | None:
    """Ask git about the checkout that this code runs from; None where there is none."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
