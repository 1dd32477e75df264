"""Options that several commands share, and how options are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token

from idxflow.cli import completing
from idxflow.cli.completing import one_of
from schemas.catalog import dataset_names
from schemas.errors import UsageError
from schemas.source import TEST_FRACTION
from schemas.training import PROFILES, Training

if TYPE_CHECKING:
    from idxflow.cli.settings import Settings


STAGES = (
    "pack",
    "group",
    "download",
    "verify",
    "decompress",
    "parse",
    "profile",
    "validate",
    "normalize",
    "train",
    "evaluate",
    "promote",
    "report",
)
"""Those of the graph, in its order; a test holds it true."""
FIELDS = sorted(set(Training.model_fields) - {"profile"})


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
    return Parameter(converter=converter, show_default=False, help=text, **{"metavar": "N", **more})


Word = Annotated[
    str,
    Parameter(
        completer=completing.runs_and_names,
        help="A run id or a version (the first digits, as far as they are unique), an alias, or latest. "
        "`latest` is the newest completed run; for `show`, in any state. champion@mnist and latest@mnist are those of "
        "a data set.",
    ),
]
Dataset = Annotated[
    str | None,
    Parameter(
        completer=completing.datasets,
        help=f"{', '.join(dataset_names())}, or a path: of a folder of pictures (one folder a class), an archive, "
        "a CSV, an .npz, or a .toml that describes a data set of your own. "
        "[mnist if it is stored or a mirror answers within 3 s, else digits]",
    ),
]
Profile = Annotated[
    str | None,
    Parameter(
        completer=completing.profiles,
        help=f"Set of training defaults: {', '.join(PROFILES)}, or a TOML with a table [training], as `idxflow tune` "
        "writes one. [tutorial]",
    ),
]
Assign = Annotated[
    list[str] | None,
    several(
        "NAME=VALUE",
        f"Change one value of the configuration: training.{', .'.join(FIELDS)}. Values are written as in TOML.",
        name="--set",
        completer=completing.fields,
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
        f"Recompute a stage, cached or not: {', '.join(STAGES)}.",
        completer=one_of(*STAGES),
    ),
]
Revalidate = Annotated[
    bool | None, flag("Ask each mirror whether its file has changed, and download again what may have. [false]")
]
Promote = Annotated[
    str | None,
    Parameter(
        metavar="ALIAS",
        completer=completing.aliases,
        help="Let this alias stand for the model if it is better than the one that has it; each data set has its own. "
        "[none]",
    ),
]
Force = Annotated[
    bool | None, flag("Continue, with a warning, where more memory or disk is needed than is free. [false]")
]
RemoteUrl = Annotated[
    str | None,
    Parameter(
        name="--remote",
        metavar="URL",
        help="Where artifacts are shared: s3://BUCKET/PREFIX, gs://, az:// or file:///FOLDER. [none]",
    ),
]
Home = Annotated[
    str | None,
    Parameter(completer=completing.folders, help="Folder of all run-time data. [.idxflow; IDXFLOW_HOME]"),
]
Verbose = Annotated[bool | None, flag("Show logs, library messages and tracebacks.")]
Json = Annotated[bool, flag("Print JSON on standard output, and everything else on standard error.")]


LARGEST_SIDE = 4096
"""As of every image; see `schemas.image_spec.Side`."""


def read_size(_: type, tokens: Sequence[Token]) -> tuple[int, int]:
    """Read rows and columns. Raises: UsageError: it is no size."""
    given = tokens[0]
    if not (found := re.fullmatch(r"([0-9]{1,4})\s*[xX\u00d7,]\s*([0-9]{1,4})", given.value.strip())):
        expected, way_out = "rows x columns, as 28x28", "Nothing has run."
        raise UsageError("--size", expected=expected, found=repr(given.value), way_out=way_out)
    rows, columns = int(found[1]), int(found[2])
    if not (1 <= rows <= LARGEST_SIDE and 1 <= columns <= LARGEST_SIDE):
        expected, way_out = f"rows and columns from 1 to {LARGEST_SIDE}", "Nothing has run."
        raise UsageError("--size", expected=expected, found=repr(given.value), way_out=way_out)
    return rows, columns


@Parameter(name="*")
@dataclass(frozen=True)
class PackOptions:
    """What is said of a folder, archive, table or file of arrays: the same for `run`, `plan` and `describe`."""

    size: Annotated[
        tuple[int, int] | None,
        Parameter(
            n_tokens=1,
            converter=read_size,
            negative="",
            metavar="ROWSxCOLUMNS",
            help="Size of every image. [as the pictures are, all alike]",
        ),
    ] = None
    fit: Annotated[
        str | None,
        Parameter(
            metavar="HOW",
            completer=one_of("exact", "pad", "stretch"),
            help="Of a picture of another size: exact refuses it, pad keeps its aspect, stretch does not. [exact]",
        ),
    ] = None
    color: Annotated[
        str | None,
        Parameter(
            metavar="COLOR", completer=one_of("gray", "rgb"), help="gray or rgb. [as the pictures are, all alike]"
        ),
    ] = None
    background: Annotated[
        int | None,
        count(0, "0 to 255: what transparent parts are laid on. [refused]", metavar="LEVEL"),
    ] = None
    frames: Annotated[
        str | None, Parameter(metavar="WHICH", help="first: take the first frame of an animated picture. [refuse]")
    ] = None
    deep: Annotated[
        str | None, Parameter(metavar="HOW", help="shift: of 16 bits a channel keep the higher 8. [refuse]")
    ] = None
    test_fraction: Annotated[
        float | None,
        Parameter(
            metavar="SHARE",
            help=f"Share of the images that becomes the test split, if none is there. [{TEST_FRACTION:g}]",
        ),
    ] = None
    classes: Annotated[
        list[str] | None, several("NAME", "The classes that are used, in the order of their labels. [all]")
    ] = None
    label: Annotated[str | None, Parameter(metavar="COLUMN", help="Column of the labels in a CSV or TSV.")] = None
    allow_refused: Annotated[bool | None, flag("Go on where more than 1 % of the pictures cannot be used. [false]")] = (
        None
    )

    @property
    def given(self) -> dict[str, Any]:
        """What was given, by the field of `schemas.source.Choices`."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """What decides what a run does, beside the home folder: the same for `run` and for `plan`."""

    dataset: Dataset = None
    profile: Profile = None
    assign: Assign = None
    mirror: Mirror = None
    refresh: Refresh = None
    promote: Promote = None
    revalidate: Revalidate = None
    force: Force = None
    pack: PackOptions = PackOptions()

    def settings(self, **others: Any) -> Settings:
        """
        Return the settings of the run.

        Args:   others: further options, by the settings' field; None where one was not given.
        Raises: UsageError: see `idxflow.cli.settings.load_settings`.
        """
        from idxflow.cli.settings import load_settings

        flags = asdict(self) | {"pack": self.pack.given or None}
        assignments = flags.pop("assign") or ()
        return load_settings({**flags, **others}, assignments)


@Parameter(name="*")
@dataclass(frozen=True)
class WorkerOptions:
    """Who computes: the same for every command that does."""

    runner: Annotated[
        str | None,
        Parameter(
            metavar="HOW",
            completer=one_of("threads", "dask"),
            help="Who computes: threads of this process, or dask: processes of this machine, for which idxflow's "
            "extra `tune` is needed. [threads; of tune: dask]",
        ),
    ] = None
    workers: Annotated[
        int | None,
        count(1, "How many at once: processes, or threads. [of processes one a core, of threads one that trains]"),
    ] = None
    cluster: Annotated[
        str | None,
        Parameter(
            metavar="ADDRESS",
            help="Scheduler of a Dask cluster whose workers see the same home folder, as tcp://HOST:PORT. [none]",
        ),
    ] = None

    @property
    def given(self) -> dict[str, Any] | None:
        """What was given, by the field of `schemas.workers.Workers`; None: nothing. Raises: UsageError."""
        if self.cluster is not None and self.workers is not None:
            raise UsageError(
                "--workers",
                expected="no number beside --cluster, which has its own workers",
                found=str(self.workers),
                way_out="Leave one of them out. Nothing has run.",
            )
        named = {"runner": self.runner, "count": self.workers, "cluster": self.cluster}
        return {name: value for name, value in named.items() if value is not None} or None


def home_of(option: str | None) -> Path:
    """
    Return the home folder that `--home`, the environment or the settings files name.

    Raises: UsageError: a wrong setting.
    """
    from idxflow.cli.settings import load_settings

    return load_settings({"home": option}).home
