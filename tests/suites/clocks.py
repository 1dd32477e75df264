"""
Clocks that are wrong: a library of a few lines, clocks.c, gives a process and all that it starts another time of day.

Not libfaketime: it reads the environment at each sleep, and a process of many threads, some of which change the
environment, as the import of TensorFlow does, now and then crashes of that.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler is here: apt-get install gcc libc6-dev")


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="idxflow-clocks-")


@cache
def _library() -> Path:
    """Compile it, once a session; the folder goes when Python ends."""
    path = Path(_folder().name) / "clocks.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(
        [str(COMPILER), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", path, source, "-ldl"],
        check=True,
        timeout=60,
    )
    return path


def wrong_by(hours: int) -> dict[str, str]:
    """Return the variables by which a process has a time of day that is wrong; durations are right."""
    return {"LD_PRELOAD": str(_library()), "WRONG_BY": str(hours * 3600)} if hours else {}
