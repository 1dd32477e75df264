"""
Run a program as `python` does, until its owner has ended.

    python -P leash.py FOLDER FILE ARGUMENT...

Standard input is a pipe, whose other end only the owner holds: the kernel closes it however the owner ends.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

SECONDS = 10.0
"""How long it may take to end by itself."""


def end_with_owner(folder: Path) -> None:
    """Wait for the owner's end, then delete the folder and end this process."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # -P keeps this file's folder off the path: its neighbours have the names of other people's modules.
    _, owned, *arguments = sys.argv
    threading.Thread(target=end_with_owner, args=(Path(owned),), name="leash", daemon=True).start()
    sys.argv[:] = arguments
    runpy.run_path(arguments[0], run_name="__main__")
