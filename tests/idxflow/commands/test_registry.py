"""The table of commands: true, and loaded alone."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from idxflow.cli.app import app
from idxflow.cli.commands.registry import COMMANDS, Command

PROJECT = Path(__file__).parents[3]
NAMES = [command.name for command in COMMANDS]


def loaded_by(*words: str) -> set[str]:
    """Return the commands that a process imports which runs one with these words."""
    program = "import sys; from idxflow.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(PROJECT)}, cwd=Path.cwd()
    )
    prefix = "idxflow.cli.commands."
    return {name.removeprefix(prefix) for name in done.stderr.split() if name.startswith(prefix)}


def test_every_file_is_a_command() -> None:
    """Each file of the folder is one command, named like it, and none stands in the table twice."""
    files = {path.stem for path in (PROJECT / "idxflow" / "cli" / "commands").glob("*.py")} - {"__init__", "registry"}
    assert files == set(NAMES) <= set(app)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_a_command_is_where_the_table_says(command: Command) -> None:
    """Its function can be imported, and its help begins as the function's own words do."""
    module, _, name = command.place.partition(":")
    function = getattr(import_module(module), name)
    first, *_ = (inspect.getdoc(function) or "").splitlines()
    assert command.help.splitlines()[0] == first


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_every_example_can_be_typed(command: Command) -> None:
    """Each example calls this command, with words and options that it takes."""
    title, *examples = command.examples.splitlines()
    assert title == "Examples:"
    assert examples
    for example in examples:
        typed = re.split(r" > | {2,}", example.strip())[0]  # without where the output goes, and what is said of it
        program, *words = shlex.split(typed)
        assert (program, words[0]) == ("idxflow", command.name)
        app.parse_args(words, print_error=False, exit_on_error=False)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"]], ids=" ".join)
def test_help_imports_no_command(words: list[str], desk: Path) -> None:
    """To list the commands, none of them is imported; the table is enough."""
    assert loaded_by(*words) == {"registry"}


def test_a_command_imports_itself_alone(desk: Path) -> None:
    """A call, and a page of help, load the command that is meant and no other."""
    assert loaded_by("runs") == {"registry", "runs"}
    assert loaded_by("gc", "--help") == {"registry", "gc"}
