"""A process on a leash: it runs as it would alone, and ends with whoever holds the other end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from idxflow.server.local import LEASH
from tests.processes import ending

PROGRAM = """
import sys, time
print(sys.argv[1:], __name__, flush=True)
time.sleep(60)
"""


def test_it_runs_until_the_pipe_is_closed(tmp_path: Path) -> None:
    """The program has its own arguments; when the pipe is closed its process ends, and the folder is gone."""
    folder = tmp_path / "owned"
    folder.mkdir()
    (folder / "file").touch()
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-P", str(LEASH), str(folder), str(tmp_path / "program.py"), "--port", "1"]
    pipe = subprocess.PIPE
    with ending(subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe)) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "['--port', '1'] __main__\n"
        assert folder.exists()
        process.stdin.close()
        assert process.wait(10) < 0
    assert not folder.exists()
