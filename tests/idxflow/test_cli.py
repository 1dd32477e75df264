"""The command line: help, refusals, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclopts import App

from idxflow.cli import app, main
from idxflow.ending import DONE, FAILED, WRONG_USAGE
from idxflow.settings import Settings
from schemas.catalog import dataset_names
from schemas.stages import STAGES
from schemas.training import Training

PROJECT = Path(__file__).parents[2]


def commands(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups of commands included."""
    yield path
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*path, name))


def test_there_are_the_commands_that_the_project_promises() -> None:
    """The commands are run, those about what it left, and server with start, stop and status."""
    assert {" ".join(words) for words in commands()} == {
        "", "run", "server", "server start", "server stop", "server status",
        "plan", "runs", "show", "lineage", "compare", "verify", "gc", "alias", "pin", "export", "up",
    }  # fmt: skip


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_and_option_is_documented(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a help page with examples on which every option has a text."""
    assert main([*words, "--help"]) == DONE
    page = capsys.readouterr().out
    assert page.startswith("Usage: idxflow")
    assert "Examples:" in page
    command = app
    for word in words:
        command = command[word]
        assert command.help
    if command.default_command:
        for argument in command.assemble_argument_collection():
            assert argument.parameter.help, argument.name
            assert argument.name in page


def test_the_help_names_every_allowed_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of `run` has each data set, stage and training option, and each setting has an option."""
    main(["run", "--help"])
    page = capsys.readouterr().out
    fields = set(Training.model_fields) - {"profile"}
    for word in {*dataset_names(), *STAGES, *fields}:
        assert word in page, word
    for setting in set(Settings.model_fields) - {"training"}:
        assert f"--{setting}" in page


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` says the version of the package."""
    assert main(["--version"]) == DONE
    assert capsys.readouterr().out == f"{version('idxflow')}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frob"], 'unknown command "frob"'),
        (["run", "--nope"], "unknown option: --nope"),
        (["run", "stray"], "stray"),
        (["run", "--dataset"], "--dataset requires an argument"),
        (["run", "--dataset", "mnits"], "one of digits, fashion-mnist, kmnist, mnist"),
        (["run", "--profile", "fast"], "--profile: expected one of tutorial, tuned, found 'fast'"),
        (["run", "--set", "training.epochs=0"], "--set training.epochs: expected a whole number at least 1"),
        (["run", "--set", "training.epochs=3", "training.seeds=3"], "--set training.seeds: expected one of"),
        (["run", "--mirror", "nowhere"], "mirror nowhere: expected an http"),
        (["run", "--refresh", "parse", "--refresh", "trian"], "--refresh: expected a list (any number), each one of"),
        (["server", "frob"], 'unknown command "frob"'),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage: one line on standard error that says what is allowed, exit code 2, nothing made."""
    assert main(arguments) == WRONG_USAGE
    output, errors = capsys.readouterr()
    assert not output
    assert errors.count("\n") == 1
    assert errors.startswith("ERROR ")
    assert words in errors
    assert not list(desk.iterdir())


def test_wrong_usage_is_told_without_prefect(desk: Path) -> None:
    """A refusal comes before Prefect is imported, also when the program is started as a module."""
    program = "import sys; from idxflow.cli import main; code = main(); print(code, 'prefect' in sys.modules)"
    arguments = ["run", "--json", "--set", "training.epochs=0"]
    environment = {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.stdout == "2 False\n"
    module = subprocess.run(
        [sys.executable, "-m", "idxflow", *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert (module.returncode, module.stdout) == (2, "")
    assert module.stderr == done.stderr


def test_without_a_server_status_and_stop_say_so(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no server runs, status has exit code 1, stop has 0, and both say so."""
    assert main(["server", "status"]) == FAILED
    assert main(["server", "stop", "--home", "elsewhere"]) == DONE
    assert capsys.readouterr().out == "No Prefect server of this home folder runs.\n" * 2
    assert not list(desk.iterdir())


@pytest.mark.slow
def test_a_server_is_started_described_and_stopped(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The server commands, for real: start waits for it, a second one finds it, status describes it, stop ends it."""
    try:
        assert main(["server", "start"]) == DONE
        address = capsys.readouterr().out.splitlines()[0].removeprefix("Prefect server started at ")
        assert main(["server", "start"]) == DONE
        assert f"Prefect server runs already at {address}\n" in capsys.readouterr().out
        assert main(["server", "status"]) == DONE
        state = json.loads((desk / ".idxflow" / "server.json").read_bytes())
        assert capsys.readouterr().out.splitlines() == [
            f"Prefect server runs at {address}",
            f"Process {state['pid']}, since {state['started']}",
            f"Log: {desk}/.idxflow/prefect/server.log",
        ]
    finally:
        assert main(["server", "stop"]) == DONE
    assert capsys.readouterr().out == f"Prefect server at {address} stopped\n"
    assert main(["server", "status"]) == FAILED


@pytest.mark.parametrize("words", [["--version"], ["server", "stop"]])
def test_a_reader_that_leaves_ends_the_command_quietly(words: list[str], desk: Path) -> None:
    """When the output is piped into a program that stops reading, there is an exit code, but nothing to read."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "idxflow", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (FAILED, "")
