"""The commands: all there, each with its help; the server's, which have no file of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclopts import App

from idxflow.cli.app import app
from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.main import main
from idxflow.cli.settings import Settings
from idxflow.views.times import local_time


def commands(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups of commands included."""
    yield path
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*path, name))


def test_there_are_the_commands_that_the_project_promises() -> None:
    """The commands are run, those about what it left, and server with start, stop, status and password."""
    assert {" ".join(words) for words in commands()} == {
        "", "run", "server", "server start", "server stop", "server status", "server password",
        "plan", "runs", "show", "lineage", "compare", "verify", "gc", "alias", "pin", "export", "trust", "up",
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
        # A group of options that commands share is no option itself.
        for argument in (each for each in command.assemble_argument_collection() if not each.children):
            assert argument.parameter.help, argument.name
            assert re.search(rf"(?<![\w-]){re.escape(argument.name)}(?![\w-])", page.partition("Examples:")[0])


def test_each_setting_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of `run` has an option for each setting, beside those that no file may set."""
    main(["run", "--help"])
    options = set(re.findall(r"^\W*(--[\w-]+)", capsys.readouterr().out, flags=re.MULTILINE))
    settings = set(Settings.model_fields) - {"training"}
    assert {f"--{name.replace('_', '-')}" for name in settings} <= options


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` says the version of the package."""
    assert main(["--version"]) == DONE
    assert capsys.readouterr().out == f"{version('idxflow')}\n"


def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`idxflow help run` is `idxflow run --help`, as in other programs."""
    main(["run", "--help"])
    page = capsys.readouterr().out
    assert main(["help", "run"]) == DONE
    assert capsys.readouterr().out == page


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
            f"Process {state['pid']}, since {local_time(state['started'])}",
            f"Log: {desk}/.idxflow/prefect/server.log",
        ]
        assert main(["server", "status", "--json"]) == DONE
        told = json.loads(capsys.readouterr().out)
        assert (told["running"], told["answers"], told["address"]) == (True, True, address)
        assert told["started"] == state["started"]
    finally:
        assert main(["server", "stop"]) == DONE
    assert capsys.readouterr().out == f"Prefect server at {address} stopped\n"
    assert main(["server", "status"]) == FAILED
