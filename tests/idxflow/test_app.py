"""The commands: all there, each with its help and its options; the server's, which have no file of their own."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import get_type_hints

import pytest
from cyclopts import App

from flows.dag import GRAPH
from idxflow.cli import options
from idxflow.cli.app import COMMANDS, app
from idxflow.cli.commands.plan import plan
from idxflow.cli.commands.run import run
from idxflow.cli.ending import DONE, FAILED, WRONG_USAGE
from idxflow.cli.main import main
from idxflow.cli.options import home_of
from idxflow.cli.settings import Settings
from idxflow.views.layout import local_time
from idxflow.views.server import ServerStatus, print_status, server_status
from schemas.catalog import dataset_names
from schemas.errors import UsageError
from schemas.source import Choices
from schemas.training import PROFILES, Training
from schemas.tuning import Sweep
from schemas.workers import Workers
from tests.processes import PROJECT, bare_environment, run_python

NAMES = [file.stem for file in COMMANDS]


def commands(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups of commands included."""
    yield path
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*path, name))


def loaded_by(*words: str) -> set[str]:
    """Return the commands that a process imports which runs one with these words."""
    program = "import sys; from idxflow.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    environment = bare_environment(PYTHONPATH=str(PROJECT))
    _, modules = run_python("-c", program, *words, cwd=Path.cwd(), environment=environment)
    assert not {"numpy", "prefect", "pyarrow", "tensorflow"} & set(modules.split())
    prefix = "idxflow.cli.commands."
    return {name.removeprefix(prefix) for name in modules.split() if name.startswith(prefix)}


def test_there_are_the_commands_that_the_project_promises() -> None:
    """The commands are run, those about what it left, server with its five, remote with its five, and two helpers."""
    assert {" ".join(words) for words in commands()} == {
        "", "run", "server", "server start", "server stop", "server status", "server password", "server list",
        "plan", "runs", "show", "lineage", "compare", "hints", "verify", "gc", "alias", "pin", "export", "trust", "up",
        "describe", "predict", "promote", "tune", "doctor", "completion", "page",
        "remote", "remote status", "remote push", "remote pull", "remote verify", "remote gc",
    }  # fmt: skip


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_and_option_is_documented(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a help page with examples and a text for each option; --home and --json have one text."""
    assert main([*words, "--help"]) == DONE
    page = capsys.readouterr().out
    assert page.startswith("Usage: idxflow")
    assert "Examples:" in page
    command = app
    for word in words:
        command = command[word]
        assert command.help
    if callable(function := command.default_command):
        # A group of options that commands share is no option itself.
        for argument in (each for each in command.assemble_argument_collection() if not each.children):
            assert argument.parameter.help, argument.name
            assert re.search(rf"(?<![\w-]){re.escape(argument.name)}(?![\w-])", page.partition("Examples:")[0])
        hints = get_type_hints(function, include_extras=True)
        given = (hints.get("home", options.Home), hints.get("json", options.Json))
        assert given == (options.Home, options.Json)
        assert "home" in hints or words == ("completion",)


@pytest.mark.parametrize("name", NAMES)
def test_every_example_can_be_typed(name: str) -> None:
    """Each example calls its command, with words and options that it takes."""
    title, *examples = str(app[name].help_epilogue).splitlines()
    assert title == "Examples:"
    assert examples
    for example in examples:
        typed = re.split(r" > | {2,}", example.strip())[0]  # without where the output goes, and what is said of it
        program, *words = shlex.split(typed)
        assert (program, words[0]) == ("idxflow", name)
        app.parse_args(words, print_error=False, exit_on_error=False)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["server", "--help"], set()),
        (["runs"], {"runs"}),
        (["gc", "--help"], {"gc"}),
    ],
    ids=str,
)
def test_a_command_imports_itself_alone(words: list[str], names: set[str], desk: Path) -> None:
    """A call, and a page of help, import that command and no other, and no heavy library; the list of commands none."""
    assert loaded_by(*words) == names


def test_the_help_names_every_allowed_value(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of `run` has each data set, profile, stage and training option, and each setting has an option."""
    main(["run", "--help"])
    page = capsys.readouterr().out
    fields = set(Training.model_fields) - {"profile"}
    for word in {*dataset_names(), *PROFILES, *GRAPH, *fields}:
        assert re.search(rf"[\s.]{re.escape(word)}[],.\s]", page), word


def test_the_stages_of_the_options_are_those_of_the_graph() -> None:
    """The list that help, completion and suggestions have without importing the graph is the graph's."""
    assert tuple(GRAPH) == options.STAGES


def test_each_setting_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of `run` has an option for each setting, and that of `tune` for each of a sweep."""
    settings = (set(Settings.model_fields) | set(Choices.model_fields)) - {"training", "pack", "pad", "tune"}
    settings |= set(Workers.model_fields) - {"count"}  # which is called --workers
    for command, names in (("run", settings), ("tune", set(Sweep.model_fields))):
        main([command, "--help"])
        options = set(re.findall(r"^\W*(--[\w-]+)", capsys.readouterr().out, flags=re.MULTILINE))
        assert {f"--{name.replace('_', '-')}" for name in names} <= options


def test_the_home_folder_comes_from_the_strongest_source(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option over the environment over a settings file over the default; always an absolute path."""
    assert home_of(None) == desk / ".idxflow"
    (desk / "idxflow.toml").write_text("home = 'file'\n")
    assert home_of(None) == desk / "file"
    monkeypatch.setenv("IDXFLOW_HOME", "environment")
    assert home_of(None) == desk / "environment"
    assert home_of("option") == desk / "option"
    assert home_of("~/mine") == desk / "mine"
    assert home_of("elsewhere/../mine/") == desk / "mine"
    assert home_of("/srv/idxflow") == Path("/srv/idxflow")


def test_to_name_a_home_folder_makes_none(desk: Path) -> None:
    """Whoever asks is told where it would be."""
    home_of("somewhere")
    assert not list(desk.iterdir())


def test_a_wrong_setting_is_told_by_every_command(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable or a file that does not read is refused, though only the home folder is asked for."""
    (desk / "idxflow.toml").write_text("hoem = 'x'\n")
    with pytest.raises(UsageError, match="hoem"):
        home_of(None)
    (desk / "idxflow.toml").unlink()
    monkeypatch.setenv("IDXFLOW_HOEM", "x")
    with pytest.raises(UsageError, match="IDXFLOW_HOEM"):
        home_of("given")


def test_a_plan_takes_the_options_of_a_run() -> None:
    """Whatever decides what a run does can be given to `plan` as well, and nothing that `run` does not know."""
    of_run, of_plan = (get_type_hints(function, include_extras=True) for function in (run, plan))
    assert set(of_run) - set(of_plan) == {"alert_below", "fail_below", "ephemeral", "remote", "verbose", "workers"}
    assert of_plan.items() <= of_run.items()


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


def test_without_a_server_there_is_nothing_but_that(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server: no address, no process; an API that was chosen is named without its password."""
    assert server_status(desk) == ServerStatus(running=False)
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@example.org/api")
    told = server_status(desk)
    assert told.chosen
    assert "secret" not in told.chosen


def test_a_server_is_told_in_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Address, process with its start in local time, log; and whether it answers yet."""
    started = "2026-11-24T17:05:52+00:00"
    print_status(ServerStatus(running=True, address="http://x", pid=7, started=started, log="/l"))
    assert capsys.readouterr().out.splitlines() == [
        "Prefect server is starting, or does not answer, at http://x",
        f"Process 7, since {local_time(started)}",
        "Log: /l",
    ]


@pytest.mark.slow
def test_a_server_is_started_described_and_stopped(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The server commands, for real: start waits for it, a second one finds it, status describes it, stop ends it."""
    try:
        assert main(["server", "start"]) == DONE
        address = capsys.readouterr().out.splitlines()[0].removeprefix("Prefect server started at ")
        assert main(["server", "start"]) == DONE
        assert f"Prefect server already runs at {address}\n" in capsys.readouterr().out
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


@pytest.mark.parametrize("limit", ["0", "-1", "1.5"])
def test_a_limit_of_nothing_is_refused(limit: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit that is no whole number from one is a wrong word, and nothing is started."""
    assert main(["up", "--limit", limit]) == WRONG_USAGE
    assert f"--limit: expected a whole number at least 1, found '{limit}'" in capsys.readouterr().err
    assert not list(desk.iterdir())
