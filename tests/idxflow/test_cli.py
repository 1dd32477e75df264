"""The entry: refusals, exit codes, Ctrl-C from the first moment on, readers that leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.run_record import RunRecord
from idxflow.cli.ending import DONE, INTERRUPTED, WRONG_USAGE
from tests.idxflow.conftest import assert_refused
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
        (["run", "--dataset", "mnits"], "one of digits, fashion-mnist, kmnist, mnist"),
        (["run", "--profile", "fast"], "--profile: expected one of tutorial, tuned, found 'fast'"),
        (["run", "--set", "training.epochs=0"], "--set training.epochs: expected a whole number at least 1"),
        (["run", "--set", "training.epochs=3", "training.seeds=3"], "--set training.seeds: expected one of"),
        (["run", "--mirror", "nowhere"], "mirror nowhere: expected an http"),
        (["run", "--refresh", "parse", "--refresh", "trian"], "--refresh: expected a list (any number), each one of"),
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
