"""Where the flows lie: the pull step by which a worker that was started in any folder finds them."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import UsageError


def project_folder() -> Path:
    """Return the folder that the floors lie in: the checkout, or where the package is installed."""
    return Path(__file__).resolve().parents[1]


def enter_project() -> dict[str, str]:
    """
    Make the project's folder the working folder of a deployed run; prefect.yaml names this as its pull step.

    Returns: the folder, under the name by which Prefect takes it over: `directory`.
    Raises:  UsageError: IDXFLOW_HOME is relative. To what would be another folder for each worker.
    """
    home = os.environ.get("IDXFLOW_HOME", "")
    if home and not Path(home).is_absolute():
        raise UsageError(
            "IDXFLOW_HOME",
            expected="an absolute path",
            found=repr(home),
            way_out="Set it so in the worker's environment, and start the worker again. Nothing has run.",
        )
    os.chdir(folder := project_folder())
    return {"directory": str(folder)}
