"""The command line. Everything heavy is imported by the command that needs it, so that help and refusals are quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from idxflow.commands.registry import COMMANDS
from idxflow.ending import DONE, FAILED, tell, terminable
from idxflow.options import Assign, Dataset, Home, Json, Mirror, Profile, Refresh, Revalidate, Verbose
from schemas.errors import UsageError

EXAMPLES = """Examples:
  idxflow run                    MNIST if it can be had, else the bundled digits
  idxflow run --dataset mnist --mirror http://HOST/mnist/
  idxflow run --set training.epochs=10 training.hidden=[100,50]
  idxflow run --refresh train --json > record.json
  idxflow server stop

Exit codes: 0 done, 1 a stage failed, 2 wrong usage, 130 interrupted."""

SERVER_EXAMPLES = """Examples:
  idxflow server start
  idxflow server status --home /srv/idxflow"""

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
    dataset: Dataset = None,
    profile: Profile = None,
    assign: Assign = None,
    mirror: Mirror = None,
    refresh: Refresh = None,
    revalidate: Revalidate = None,
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
    from idxflow.settings import load_settings

    flags = {
        "dataset": dataset,
        "profile": profile,
        "mirror": mirror,
        "refresh": refresh,
        "revalidate": revalidate,
        "home": home,
        "ephemeral": ephemeral,
        "verbose": verbose,
    }
    settings = load_settings(flags, assign or ())

    from idxflow.console import Console
    from idxflow.run import run_pipeline

    console = Console(sys.stderr if json else sys.stdout, sys.stderr, plain=settings.verbose)
    try:
        with terminable():
            run_pipeline(settings, console, json=json)
    except (Exception, KeyboardInterrupt) as error:
        return tell(console, error, verbose=settings.verbose)
    return DONE


@server.command
def start(*, home: Home = None) -> int:
    """Start the server of the home folder, unless it runs already, and wait until it answers."""
    from idxflow.environment import prepare_environment
    from idxflow.server import start_server, stop_command, wait_for_server
    from idxflow.settings import load_settings

    folder = load_settings({"home": home}).home
    prepare_environment(folder)
    found, started = start_server(folder)
    wait_for_server(folder, found)
    print(f"Prefect server {'started' if started else 'runs already'} at {found.address}")
    print(f"Stop it with: {stop_command(folder)}")
    return DONE


@server.command
def stop(*, home: Home = None) -> int:
    """Stop the server of the home folder, and no other."""
    from idxflow.server import stop_server
    from idxflow.settings import load_settings

    stopped = stop_server(load_settings({"home": home}).home)
    print(f"Prefect server at {stopped.address} stopped" if stopped else "No Prefect server of this home folder runs.")
    return DONE


@server.command
def status(*, home: Home = None) -> int:
    """Say whether the server of the home folder runs (exit code 1: no), where, since when, and where its log is."""
    from idxflow.environment import user_api_url
    from idxflow.server import api_answers, find_server
    from idxflow.settings import load_settings
    from schemas.addresses import redact

    if chosen := user_api_url():
        print(f"Runs use {redact(chosen)} (PREFECT_API_URL), and not a server of idxflow's own.")
    found = find_server(load_settings({"home": home}).home)
    if found is None:
        print("No Prefect server of this home folder runs.")
        return FAILED
    state = "runs" if api_answers(found.api) else "is starting, or does not answer,"
    print(f"Prefect server {state} at {found.address}")
    print(f"Process {found.pid}, since {found.started}\nLog: {found.log}")
    return DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command.

    Args:    arguments: as on the command line, without the program; None: those of this process.
    Returns: the exit code.
    """
    try:
        code = int(app(sys.argv[1:] if arguments is None else list(arguments)) or DONE)
        sys.stdout.flush()
    except CycloptsError as error:
        said = " ".join(str(error).split()).rstrip(" .,?")
        found = said[:1].lower() + said[1:]
        way_out = "Nothing has run."
        caught: BaseException = UsageError(
            "command line", expected="what `idxflow --help` lists", found=found, way_out=way_out
        )
    except BrokenPipeError:
        # Whoever read the output has had enough. What is still buffered would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED  # as rich does, where it is rich that prints
    except (Exception, KeyboardInterrupt) as error:
        caught = error
    else:
        return code
    from idxflow.console import Console

    return tell(Console(sys.stdout, sys.stderr), caught)
