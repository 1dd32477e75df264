"""The command line. Everything heavy is imported by the command that needs it, so that help and refusals are quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from idxflow.ending import DONE, FAILED, tell, terminable
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

Home = Annotated[str | None, Parameter(help="Folder of all run-time data. [.idxflow; IDXFLOW_HOME]")]
Verbose = Annotated[bool | None, Parameter(negative="", help="Show logs, library messages and tracebacks.")]

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


@app.command
def run(
    *,
    dataset: Annotated[
        str | None,
        Parameter(
            help="digits, fashion-mnist, kmnist, mnist, or the path of a .toml that describes a set of your own. "
            "[mnist if it is stored or a mirror answers within 3 s, else digits]"
        ),
    ] = None,
    profile: Annotated[str | None, Parameter(help="Set of training defaults: tutorial. [tutorial]")] = None,
    assign: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            negative="",
            consume_multiple=True,
            metavar="NAME=VALUE",
            help="Change one value of the configuration: training.activation, .batch_size, .decay, .epochs, .hidden, "
            ".learning_rate, .momentum, .seed, .validation_fraction. Values are written as in TOML.",
        ),
    ] = None,
    mirror: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            consume_multiple=True,
            metavar="URL",
            help="Address (http, https, file) or folder to try before the catalog's own; more are tried in order.",
        ),
    ] = None,
    refresh: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            consume_multiple=True,
            metavar="STAGE",
            help="Compute a stage anew, cached or not: download, verify, decompress, parse, validate, normalize, "
            "train, evaluate, report.",
        ),
    ] = None,
    home: Home = None,
    ephemeral: Annotated[
        bool | None, Parameter(negative="", help="Use Prefect's temporary server, which ends with the run.")
    ] = None,
    json: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Print the run's record on standard output, and all else on standard error.",
        ),
    ] = False,
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

    if chosen := user_api_url():
        print(f"Runs use {chosen} (PREFECT_API_URL), and not a server of idxflow's own.")
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
        return int(app(sys.argv[1:] if arguments is None else list(arguments)) or DONE)
    except CycloptsError as error:
        said = " ".join(str(error).split()).rstrip(".?")
        found = said[:1].lower() + said[1:]
        way_out = "Nothing has run."
        caught: BaseException = UsageError(
            "command line", expected="what `idxflow --help` lists", found=found, way_out=way_out
        )
    except (Exception, KeyboardInterrupt) as error:
        caught = error
    from idxflow.console import Console

    return tell(Console(sys.stdout, sys.stderr), caught)
