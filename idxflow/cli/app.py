"""The commands and their options. Everything heavy is imported by the command that needs it: help is quick."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from idxflow.cli.commands.registry import COMMANDS
from idxflow.cli.ending import DONE, FAILED, tell
from idxflow.cli.interrupts import end_at_once, held_back, interruptible
from idxflow.cli.options import Home, Json, RunOptions, Verbose
from idxflow.cli.printing import put, put_json
from idxflow.cli.refusals import refusal

EXAMPLES = """Examples:
  idxflow run                    MNIST if it can be had, else the bundled digits
  idxflow run --dataset mnist --mirror http://HOST/mnist/
  idxflow run --set training.epochs=10 training.hidden=[100,50]
  idxflow run --refresh train --json > record.json
  idxflow server stop

Exit codes: 0 done, 1 a stage failed, 2 wrong usage; interrupted by
Ctrl-C 130, by SIGTERM 143, by SIGHUP 129."""

SERVER_EXAMPLES = """Examples:
  idxflow server start
  idxflow server password
  idxflow server status --home /srv/idxflow --json"""

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
for command in COMMANDS:
    app.command(command.place, help=command.help, help_epilogue=command.examples)


@app.command
def run(
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - immutable
    alert_below: Annotated[
        float | None,
        Parameter(metavar="ACCURACY", help="Warn, and emit an event, where the test accuracy is below it: 0 to 1."),
    ] = None,
    home: Home = None,
    ephemeral: Annotated[
        bool | None, Parameter(negative="", help="Use Prefect's temporary server, which ends with the run.")
    ] = None,
    json: Json = False,
    verbose: Verbose = None,
) -> int:
    """
    Run the pipeline: download, verify, decompress, parse, validate, normalize, train, evaluate, report.

    What is stored and unchanged is not computed again.

    Options come from here, then from the environment (IDXFLOW_DATASET,
    IDXFLOW_TRAINING__EPOCHS, ...), then from idxflow.toml or [tool.idxflow] of
    pyproject.toml in the working folder.
    """
    settings = options.settings(alert_below=alert_below, home=home, ephemeral=ephemeral, verbose=verbose)

    from idxflow.cli.run import run_pipeline
    from idxflow.views.console import open_console

    console = open_console(json=json, plain=settings.verbose)
    try:
        with interruptible():
            run_pipeline(settings, console, json=json)
    except (Exception, KeyboardInterrupt) as error:
        end_at_once()  # for good: this process has nothing else to do
        with held_back():
            return tell(console, error, verbose=settings.verbose)
    return DONE


@server.command
def start(*, home: Home = None) -> int:
    """Start the server of the home folder, unless it runs already, and wait until it answers."""
    from idxflow.cli.settings import load_settings
    from idxflow.server.environment import prepare_environment
    from idxflow.server.local import password_command, start_server, stop_command, wait_for_server

    folder = load_settings({"home": home}).home
    prepare_environment(folder)
    found, started = start_server(folder)
    wait_for_server(folder, found)
    put(f"Prefect server {'started' if started else 'runs already'} at {found.address}")
    put(f"Stop it with: {stop_command(folder)}")
    put(f"Its password: {password_command(folder)}")
    return DONE


@server.command
def password(*, home: Home = None) -> int:
    """Print the password of the home folder's server, which the dashboard asks for once: keep it to yourself."""
    from idxflow.cli.settings import load_settings
    from idxflow.server.password import read_password

    put(read_password(load_settings({"home": home}).home))
    return DONE


@server.command
def stop(*, home: Home = None) -> int:
    """Stop the server of the home folder, and no other."""
    from idxflow.cli.settings import load_settings
    from idxflow.server.local import stop_server

    stopped = stop_server(load_settings({"home": home}).home)
    put(f"Prefect server at {stopped.address} stopped" if stopped else "No Prefect server of this home folder runs.")
    return DONE


@server.command
def status(*, home: Home = None, json: Json = False) -> int:
    """Say whether the server of the home folder runs (exit code 1: no), where, since when, and where its log is."""
    from idxflow.cli.settings import load_settings
    from idxflow.views.server_page import print_status, server_status

    found = server_status(load_settings({"home": home}).home)
    if json:
        put_json(found.model_dump_json(indent=2))
    else:
        print_status(found)
    return DONE if found.running else FAILED


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
        raise refusal(error) from error
