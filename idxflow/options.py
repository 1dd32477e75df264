"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Dataset = Annotated[
    str | None,
    Parameter(
        help="digits, fashion-mnist, kmnist, mnist, or the path of a .toml that describes a set of your own. "
        "[mnist if it is stored or a mirror answers within 3 s, else digits]"
    ),
]
Profile = Annotated[str | None, Parameter(help="Set of training defaults: tutorial, tuned. [tutorial]")]
Assign = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative="",
        consume_multiple=True,
        metavar="NAME=VALUE",
        help="Change one value of the configuration: training.activation, .batch_size, .decay, .dropout, .epochs, "
        ".hidden, .label_smoothing, .learning_rate, .momentum, .optimizer, .schedule, .seed, .shift, "
        ".validation_fraction, .warmup, .weight_decay. Values are written as in TOML.",
    ),
]
Mirror = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        consume_multiple=True,
        metavar="URL",
        help="Address (http, https, file) or folder to try before the catalog's own; more are tried in order.",
    ),
]
Refresh = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        consume_multiple=True,
        metavar="STAGE",
        help="Compute a stage anew, cached or not: download, verify, decompress, parse, validate, normalize, "
        "train, evaluate, report.",
    ),
]
Revalidate = Annotated[
    bool | None,
    Parameter(
        negative="", help="Ask each file's mirror whether it has changed, and download anew what may have. [false]"
    ),
]
Home = Annotated[str | None, Parameter(help="Folder of all run-time data. [.idxflow; IDXFLOW_HOME]")]
Verbose = Annotated[bool | None, Parameter(negative="", help="Show logs, library messages and tracebacks.")]
Json = Annotated[
    bool,
    Parameter(negative="", show_default=False, help="Print JSON on standard output, and all else on standard error."),
]


def home_of(option: str | None) -> Path:
    """
    Return the home folder that `--home`, the environment or the settings files name.

    Raises: UsageError: a wrong setting.
    """
    from idxflow.settings import load_settings

    return load_settings({"home": option}).home
