"""What a measurement was taken on: processor, memory, load, interpreter, versions, commit."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from artifacts.environment import Environment, current_environment


class Machine(BaseModel):
    """
    A machine and its software; nothing that tells whose machine it is.

    Args:
        processor: the model's name.
        memory:    bytes.
        load:      processes that want to run, as a mean over the last minute, before anything was measured.
        inflate:   version of isal.
    """

    model_config = ConfigDict(frozen=True)
    processor: str
    memory: int
    load: float
    inflate: str
    environment: Environment

    def __str__(self) -> str:
        """Return all of it as a person reads it, in three lines."""
        software, packages = self.environment, self.environment.packages
        changed = " and changes" if software.git_dirty else ""
        versions = ", ".join(f"{name} {packages[name]}" for name in packages if name != "idxflow")
        return (
            f"{self.processor}, {software.cores} cores, {self.memory / 1e9:.0f} GB, {software.platform}, "
            f"load {self.load:.1f} before\n"
            f"Python {software.python}, {versions}, isal {self.inflate}\n"
            f"idxflow {packages['idxflow']}, commit {(software.git_commit or 'unknown')[:12]}{changed}"
        )


def describe_machine() -> Machine:
    """Describe the machine that this process runs on."""
    return Machine(
        processor=_processor(),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        load=os.getloadavg()[0],
        inflate=metadata.version("isal"),
        environment=current_environment(),
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
