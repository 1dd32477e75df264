"""
The program and its commands. Everything heavy is imported by the command that needs it: help is quick.

A command is a file of `idxflow/cli/commands/`, found by its name: the docstring of the file is its help page, the first
line stands in the list of commands, and its function is called like the file. It is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.options import Home, Json, flag, home_of
from idxflow.cli.output import put, put_json
from idxflow.cli.usage import helped, refusal
from schemas.errors import UsageError

COMMANDS = tuple(sorted((Path(__file__).parent / "commands").glob("[a-z]*.py")))
GROUPS = frozenset({"remote"})
"""Files with several commands."""
EXAMPLES = """Examples:
  idxflow run                    MNIST if it can be had, else the bundled digits
  idxflow run --dataset mnist --mirror http://HOST/mnist/
  idxflow run --set training.epochs=10 training.hidden=[100,50]
  idxflow run --refresh train --json > record.json
  idxflow server stop

Exit codes: 0 done, 1 a stage failed, 2 wrong usage, 3 not good enough
(--fail-below, promote); interrupted by
Ctrl-C 130, by SIGTERM 143, by SIGHUP 129."""

SERVER_EXAMPLES = """Examples:
  idxflow server start
  idxflow server start --idle 7d
  idxflow server password
  idxflow server status --home /srv/idxflow --json
  idxflow server list"""

app = App(
    name="idxflow",
    help="From IDX files to a trained, evaluated and explained Keras perceptron, each step verified and versioned.",
    help_format="plaintext",
    help_epilogue=EXAMPLES,
    version=lambda: version("idxflow"),
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
server = App(
    name="server",
    help="The local Prefect server: its API, its dashboard, and the history of all runs.",
    help_epilogue=SERVER_EXAMPLES,
)
app.command(server)
for file in COMMANDS:
    page, _, examples = file.read_text("utf-8").split('"""', 2)[1].strip().partition("\n\nExamples:\n")
    place = f"idxflow.cli.commands.{file.stem}:{file.stem}"
    # A group of commands, which is an App itself, says its examples in its file.
    app.command(place, help=page, **({} if file.stem in GROUPS else {"help_epilogue": f"Examples:\n{examples}"}))


@server.command
def start(
    *,
    idle: Annotated[
        str,
        Parameter(
            metavar="TIME", help="End it when nobody has used it for so long: 12h, 7d; 0h: never.", show_default=True
        ),
    ] = "8h",
    home: Home = None,
) -> int:
    """Start the server of the home folder, unless it runs already, and wait until it answers."""
    from idxflow.cli.commands.gc import parse_age
    from idxflow.server.environment import prepare_environment
    from idxflow.server.idling import words
    from idxflow.server.local import password_command, start_server, stop_command, wait_for_server

    folder = home_of(home)
    seconds = parse_age(idle, "--idle").total_seconds()
    prepare_environment(folder)
    found, started = start_server(folder, idle=seconds)
    wait_for_server(folder, found)
    put(f"Prefect server {'started' if started else 'already runs'} at {found.address}")
    put(f"It ends when nobody has used it for {words(found.idle)}." if found.idle else "It runs until it is stopped.")
    if found.idle != seconds:
        put(f"It keeps the time it was started with, not {idle}: stop it first, and start it again.")
    put(f"Stop it with: {stop_command(folder)}\nIts password: {password_command(folder)}")
    return DONE


@server.command
def password(*, home: Home = None) -> int:
    """Print the password of the home folder's server, which the dashboard asks for once. It is a secret."""
    from idxflow.server.password import read_password

    put(read_password(home_of(home)))
    return DONE


@server.command
def stop(
    *,
    force: Annotated[bool, flag("Stop it although runs are at work: they go on without it.")] = False,
    home: Home = None,
) -> int:
    """Stop the server of the home folder, and no other; not while runs are at work, which are named."""
    from idxflow.server.at_work import refuse_work
    from idxflow.server.local import stop_server

    folder = home_of(home)
    if not force:
        refuse_work(folder)
    stopped = stop_server(folder)
    put(f"Prefect server at {stopped.address} stopped" if stopped else "No Prefect server of this home folder runs.")
    return DONE


@server.command
def status(*, home: Home = None, json: Json = False) -> int:
    """Show whether the server of the home folder runs (exit code 1: no), where, since when, and its log."""
    from idxflow.views.server import print_status, server_status

    found = server_status(home_of(home))
    put_json(found) if json else print_status(found)
    return DONE if found.running else FAILED


@server.command(name="list")
def list_(*, home: Home = None, json: Json = False) -> int:
    """List the servers of this machine: home folder, address, since when, and the runs at work."""
    from idxflow.server.everywhere import find_servers
    from idxflow.views.server import print_servers

    found = find_servers(home_of(home))
    put_json(found) if json else print_servers(found)
    return DONE


def call(words: Sequence[str]) -> int:
    """
    Run a command.

    Args:    words: as on the command line, without the program.
    Returns: the exit code.
    Raises:  UsageError: the words make no command.  Otherwise whatever the command raises.
    """
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]  # as git and others have it
    try:
        return int(app(words) or DONE)
    except CycloptsError as error:
        raise refusal(error, app) from error
    except UsageError as error:
        raise helped(error, app, words) from error
