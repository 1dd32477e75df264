"""Options that several commands share, and how options are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token

from schemas.errors import UsageError

if TYPE_CHECKING:
    from idxflow.cli.settings import Settings


def flag(text: str, **more: Any) -> Parameter:
    """Return a switch that is off unless given, and has no --no- twin. Args: text: its help."""
    return Parameter(negative="", show_default=False, help=text, **more)


def several(metavar: str, text: str, **more: Any) -> Parameter:
    """Return an option that may be given several times, or once with several values."""
    return Parameter(negative="", consume_multiple=1, metavar=metavar, help=text, **more)


def count(least: int, text: str, **more: Any) -> Parameter:
    """
    Return an option that counts things, where cyclopts would round 1.5.

    Its reader raises UsageError for anything but a whole number of at least `least`.
    """

    def read(_: type, tokens: Sequence[Token]) -> int:
        given = tokens[0]
        if not re.fullmatch("[0-9]{1,9}", given.value) or int(given.value) < least:
            expected, way_out = f"a whole number at least {least}", "Nothing has run."
            raise UsageError(given.keyword or "count", expected=expected, found=repr(given.value), way_out=way_out)
        return int(given.value)

    converter: Callable[[type, Sequence[Token]], int] = read
    return Parameter(converter=converter, show_default=False, metavar="N", help=text, **more)


Word = Annotated[
    str,
    Parameter(
        help="A run id or a version (the first digits, as far as they are unique), an alias, or latest. "
        "`latest` is the newest completed run; for `show`, the newest run in any state."
    ),
]
Dataset = Annotated[
    str | None,
    Parameter(
        help="digits, fashion-mnist, kmnist, mnist, or the path of a .toml that describes a data set of your own. "
        "[mnist if it is stored or a mirror answers within 3 s, else digits]"
    ),
]
Profile = Annotated[str | None, Parameter(help="Set of training defaults: tutorial, tuned. [tutorial]")]
Assign = Annotated[
    list[str] | None,
    several(
        "NAME=VALUE",
        "Change one value of the configuration: training.activation, .batch_size, .decay, .dropout, .epochs, "
        ".hidden, .label_smoothing, .learning_rate, .memory, .momentum, .optimizer, .patience, .schedule, .seed, "
        ".shift, .shuffle_window, .validation_fraction, .warmup, .weight_decay. Values are written as in TOML.",
        name="--set",
    ),
]
Mirror = Annotated[
    list[str] | None,
    several(
        "URL", "Address (http, https, file) or folder to try before the catalog's own; several are tried in order."
    ),
]
Refresh = Annotated[
    list[str] | None,
    several(
        "STAGE",
        "Recompute a stage, cached or not: download, verify, decompress, parse, validate, normalize, train, evaluate, "
        "report.",
    ),
]
Revalidate = Annotated[
    bool | None, flag("Ask each mirror whether its file has changed, and download again what may have. [false]")
]
Force = Annotated[
    bool | None, flag("Continue, with a warning, where more memory or disk is needed than is free. [false]")
]
Home = Annotated[str | None, Parameter(help="Folder of all run-time data. [.idxflow; IDXFLOW_HOME]")]
Verbose = Annotated[bool | None, flag("Show logs, library messages and tracebacks.")]
Json = Annotated[bool, flag("Print JSON on standard output, and everything else on standard error.")]


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """What decides what a run does, beside the home folder: the same for `run` and for `plan`."""

    dataset: Dataset = None
    profile: Profile = None
    assign: Assign = None
    mirror: Mirror = None
    refresh: Refresh = None
    revalidate: Revalidate = None
    force: Force = None

    def settings(self, **others: str | float | bool | None) -> Settings:
        """
        Return the settings of the run.

        Args:   others: further options, by the settings' field; None where one was not given.
        Raises: UsageError: see `idxflow.cli.settings.load_settings`.
        """
        from idxflow.cli.settings import load_settings

        flags = asdict(self)
        assignments = flags.pop("assign") or ()
        return load_settings({**flags, **others}, assignments)


def home_of(option: str | None) -> Path:
    """
    Return the home folder that `--home`, the environment or the settings files name.

    Raises: UsageError: a wrong setting.
    """
    from idxflow.cli.settings import load_settings

    return load_settings({"home": option}).home
