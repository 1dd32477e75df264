"""When a command was started."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from idxflow.cli.entering import began
from tests.processes import PROJECT, bare_environment, run_python

SLEPT = 0.4
ASK = f"""
import time
time.sleep({SLEPT})
from idxflow.cli.entering import enter, entered
assert entered() is None
enter()
print(time.monotonic() - entered())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc says it")
def test_a_command_began_before_its_first_line() -> None:
    """What a process did before it asked counts: it began when the system started it."""
    before = time.monotonic()
    output, _ = run_python("-c", ASK, cwd=PROJECT, environment=bare_environment())
    assert SLEPT <= float(output) <= time.monotonic() - before + 0.02  # the system counts in ticks of 10 ms


@pytest.mark.parametrize("told", [None, "", "1 (a) b) S 1"])
def test_without_the_systems_word_a_command_began_now(told: str | None, tmp_path: Path) -> None:
    """A system that has no such file, or another one, costs the command nothing."""
    if told is not None:
        (tmp_path / "stat").write_text(told)
    before = time.monotonic()
    assert before <= began(tmp_path / "stat") <= time.monotonic()


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc says it")
def test_a_process_that_was_a_shell_for_long_began_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system counts a shell that became this program by `exec`; nobody waited for us meanwhile."""
    monkeypatch.setattr("idxflow.cli.entering._LONGEST", 0.0)
    before = time.monotonic()
    assert before <= began() <= time.monotonic()
