"""The README: short, and its first commands do what it says, in their order, from a bare clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from idxflow.cli.app import app
from tests.processes import PROJECT

README = (PROJECT / "README.md").read_text("utf-8")


def blocks() -> list[str]:
    """Return the blocks of commands."""
    return re.findall(r"^```(?:sh)?\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_the_readme_is_read_in_a_minute() -> None:
    """It has less than 120 lines; the rest is in docs/."""
    assert len(README.splitlines()) < 120


def test_each_command_that_it_names_is_one() -> None:
    """What the table of commands lists is what the command line has, all of it."""
    table = README.partition("## The commands")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", table.partition("\n\nEach has")[0]))
    known = {name for name in app if not name.startswith("-")}
    assert told <= known
    assert known - told <= {"completion"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_first_commands_lead_to_a_report(tmp_path: Path) -> None:
    """In a bare clone, with what is installed here, the first block ends with a report; of the digits, offline."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True, timeout=60)
    (clone / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (clone / ".venv" / name).symlink_to(Path(sys.prefix, name))
    (clone / ".venv" / ".installed").touch()  # as `make install` leaves it: no index is asked
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("IDXFLOW_", "PREFECT_"))}
    environment |= {"IDXFLOW_DATASET": "digits", "HOME": str(tmp_path)}
    first = blocks()[0]
    assert "idxflow run" in first
    stop = "\n.venv/bin/idxflow server stop || true\n"
    try:
        done = subprocess.run(
            ["bash", "-ec", first], cwd=clone, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
    finally:
        subprocess.run(["bash", "-c", stop], cwd=clone, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert list(clone.glob(".idxflow/artifacts/report/*/report.html"))
    assert "Report:" in done.stdout
