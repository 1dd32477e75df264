"""
Whether Python finds the floors below: `flows`, `tasks`, `artifacts` and `schemas` are packages of the top level.

A `tasks.py` of somebody's own, in the folder that `python -m idxflow` or a notebook is started in, comes before ours.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

FLOORS = ("flows", "tasks", "artifacts", "schemas")
ROOT = Path(__file__).parents[1]
WRONG_USAGE = 2


def refuse_shadows() -> None:
    """
    Go on only where each floor is ours.

    Raises: ImportError: it names the file that stands in the way, and what to do.  SystemExit: the same in one
            line on standard error, with the exit code of wrong usage, where `python -m` imports the package.
    """
    for name in FLOORS:
        found = _found(name)
        if found and found.resolve() == (ROOT / name / "__init__.py").resolve():
            continue
        message = (
            f"package {name}: expected that of idxflow, found {found or 'none'}. Rename it, or start in another "
            "folder: Python looks for modules where it is started first."
        )
        if sys.argv[:1] == ["-m"]:  # so it is called until the module is found that is to be run
            sys.stderr.write(f"ERROR {message}\n")
            raise SystemExit(WRONG_USAGE)
        raise ImportError(message, name=name, path=str(found) if found else None)


def _found(name: str) -> Path | None:
    """Return the file that an import of a floor runs, or has run."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        file = spec.origin if spec else None
    return Path(file) if file else None
