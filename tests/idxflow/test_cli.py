"""The entry: refusals, exit codes, Ctrl-C from the first moment on, readers that leave."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from flows.run_record import RunRecord
from idxflow.cli.ending import DONE, FAILED, HUNG_UP, INTERRUPTED, TERMINATED, WRONG_USAGE, report_error
from idxflow.cli.interrupts import HungUp, Terminated
from idxflow.cli.output import lasting_streams
from schemas.errors import BadIdx, UsageError
from tests.idxflow.conftest import Screen, assert_refused
from tests.processes import PROJECT, bare_environment, ending, run_python

INTERRUPTED_AT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
left = int(sys.argv.pop(1))

def count(event, _):
    global left
    left -= event == "import"
    if not left and event == "import":
        os.kill(os.getpid(), signal.SIGINT)

from idxflow.cli.main import main
sys.addaudithook(count)
sys.exit(main())
"""
"""The program, with Ctrl-C at the import of a given number."""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--nope"], "idxflow run: expected an option that it has, found --nope. See"),
        (["run", "--dataset", ""], "data set: expected one of digits, fashion-mnist, kmnist, mnist, or the path"),
        (["run", "--mirror", "nowhere"], "mirror nowhere: expected an http"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage: one line on standard error that says what is allowed, exit code 2, nothing made."""
    assert_refused(arguments, words, desk, capsys)


def test_wrong_usage_is_told_without_prefect(desk: Path) -> None:
    """A refusal comes before Prefect is imported, also when the program is started as a module."""
    program = "import sys; from idxflow.cli.main import main; code = main(); print(code, 'prefect' in sys.modules)"
    arguments, environment = ("run", "--json", "--set", "training.epochs=0"), bare_environment(PYTHONPATH=str(PROJECT))
    output, errors = run_python("-c", program, *arguments, cwd=desk, environment=environment)
    assert output == "2 False\n"
    module = run_python("-m", "idxflow", *arguments, cwd=desk, environment=environment, code=WRONG_USAGE)
    assert module == ("", errors)


@pytest.mark.parametrize(
    ("words", "code"), [(["--version"], DONE), (["server", "stop"], DONE), (["run", "--dataset", ""], WRONG_USAGE)]
)
def test_readers_that_leave_change_no_exit_code(words: list[str], code: int, desk: Path) -> None:
    """When the output is piped into a program that stops reading, the command goes on to the end it has anyhow."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "idxflow", *words]
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (code, int(code != DONE))
    deaf = subprocess.run(command, stdout=writer, stderr=writer, check=False, env=environment)
    assert deaf.returncode == code
    os.close(writer)


@pytest.mark.slow
def test_a_reader_that_leaves_stops_no_run(desk: Path) -> None:
    """`idxflow run | head -1`: the run completes, with exit code 0 and its record."""
    words = "run --dataset digits --set training.epochs=2 --ephemeral"
    command = [sys.executable, "-m", "idxflow", *words.split()]
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ending(process):
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("download ")
        process.stdout.close()
        assert process.wait(timeout=120) == DONE
        assert process.stderr.read() == ""
    (record,) = (desk / ".idxflow" / "runs").glob("*.json")
    assert RunRecord.model_validate_json(record.read_bytes()).state == "completed"


def test_a_command_without_standard_output_works(desk: Path) -> None:
    """Started with its standard output closed, as by `>&-`, a command does what it does."""
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "idxflow", "server", "stop"]
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (DONE, "")


SLOW = [pytest.param(number, marks=pytest.mark.slow) for number in (2, 40, 300, 500, *range(700, 4400, 400))]


@pytest.mark.parametrize("imports", [1, 10, 150, *SLOW])
def test_ctrl_c_while_a_run_starts_is_one_line_and_exit_code_130(imports: int, desk: Path) -> None:
    """From its first import to those of TensorFlow: wherever Ctrl-C comes, the run says so, and only so, and ends."""
    command = [sys.executable, "-c", INTERRUPTED_AT, str(imports), "run", "--dataset", "digits", "--ephemeral"]
    environment = bare_environment(PYTHONPATH=str(PROJECT), HOME=str(desk))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ending(process):
        _, errors = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert errors == "ERROR Interrupted. Finished stages are stored; run again to continue.\n"


def test_a_stream_falls_silent_when_its_reader_leaves() -> None:
    """What is written before is read; what comes after is lost, and is no error, at the end neither."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe, redirect_stdout(pipe):
        with lasting_streams():
            sys.stdout.write("heard\n")
            sys.stdout.flush()
            assert os.read(reader, 100) == b"heard\n"
            os.close(reader)
            for _ in range(3):
                assert sys.stdout.write("unheard\n") == 8
                sys.stdout.flush()
            sys.stdout.write("left over\n")
        assert sys.stdout is pipe


def test_all_is_written_when_the_block_ends() -> None:
    """What is buffered is flushed, and the streams are what they were."""
    before = sys.stdout, sys.stderr
    kept = io.TextIOWrapper(io.BytesIO())
    with redirect_stdout(kept), lasting_streams():
        sys.stdout.write("x")
    assert kept.buffer.getvalue() == b"x"
    assert (sys.stdout, sys.stderr) == before


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_failures_are_told() -> None:
    """A disk that is full is no reader that left."""
    with redirect_stdout(Full()), pytest.raises(OSError, match="No space"), lasting_streams():
        sys.stdout.write("x")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadIdx("x", expected="8", found="7", way_out="Mend it."), FAILED, "ERROR x: expected 8, found 7. Mend it.\n"),
        (UsageError("x", expected="8", found="7", way_out="y."), WRONG_USAGE, "ERROR x: expected 8, found 7. y.\n"),
        (Terminated(), TERMINATED, "ERROR Interrupted. Finished stages are stored; run again to continue.\n"),
        (HungUp(), HUNG_UP, "ERROR Interrupted. Finished stages are stored; run again to continue.\n"),
        (KeyboardInterrupt(), INTERRUPTED, "ERROR Interrupted. Finished stages are stored; run again to continue.\n"),
        (
            ValueError("some\nlines"),
            FAILED,
            "ERROR Unexpected ValueError: some lines (--verbose shows the traceback)\n",
        ),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error: BaseException, code: int, line: str, screen: Screen) -> None:
    """Every way in which a run can end has its exit code and one calm line."""
    assert report_error(screen, error, verbose=False) == code
    assert screen.errors.getvalue() == line


def test_verbose_shows_the_traceback(screen: Screen) -> None:
    """With `verbose` the traceback stands above the line."""
    try:
        raise BadIdx("x", expected="8", found="7", way_out="Mend it.")
    except BadIdx as error:
        assert report_error(screen, error, verbose=True) == FAILED
    assert screen.errors.getvalue().startswith("Traceback (most recent call last):")
    assert screen.errors.getvalue().endswith("\nERROR x: expected 8, found 7. Mend it.\n")


LEAVING = """
import atexit, sys, threading, time
from idxflow.cli.ending import leave
if sys.argv[1] == "busy":
    threading.Thread(target=time.sleep, args=(60,)).start()
atexit.register(print, "tidied up")
print("said")
leave(1)
print("stayed")
"""


@pytest.mark.parametrize(
    ("threads", "code", "said"), [("busy", 1, "said\ntidied up\n"), ("none", 0, "said\nstayed\ntidied up\n")]
)
def test_a_failed_command_waits_for_no_thread(desk: Path, threads: str, code: int, said: str) -> None:
    """The process ends at once with its code, though a thread works on; what belongs to its end is done, once."""
    begun = time.monotonic()
    output, _ = run_python(
        "-c", LEAVING, threads, cwd=desk, environment=bare_environment(PYTHONPATH=str(PROJECT)), code=code
    )
    assert output == said
    assert time.monotonic() - begun < 30
