"""Linters of what people deploy: programs that say nothing when they have nothing to find."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PROJECT


def findings(program: str, *arguments: str) -> str:
    """
    Run a linter in the project's folder.

    Returns: what it finds; empty where it ends with 0.
    """
    path = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not here: it belongs to the extra `lint`")
    done = subprocess.run([path, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""
