"""
Share artifacts, runs and aliases with other machines, by a bucket or a folder.

The address is `[remote] url` of idxflow.toml, IDXFLOW_REMOTE__URL, or --url.
Credentials come from the environment or the provider's usual files. With a
remote, runs take from it what the store has not got, and push what they compute.

Examples:
  idxflow remote status
  idxflow remote push latest
  idxflow remote pull champion@mnist
  idxflow remote verify
  idxflow remote gc --yes
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.options import Home, Json, count, flag
from idxflow.cli.output import put_json

if TYPE_CHECKING:
    from artifacts.remote.shared import Shared

remote = App(name="remote", help_epilogue=f"Examples:\n{str(__doc__).partition('Examples:')[2].strip(chr(10))}")


@Parameter(name="*")
@dataclass(frozen=True)
class PlaceOptions:
    """Which remote: the same for every command about one."""

    url: Annotated[
        str | None,
        Parameter(
            metavar="URL",
            help="s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER. [of the settings]",
        ),
    ] = None
    endpoint: Annotated[
        str | None, Parameter(metavar="ADDRESS", help="http or https address of the server. [the provider's own]")
    ] = None
    region: Annotated[str | None, Parameter(metavar="NAME", help="Region of the bucket. [the provider's default]")] = (
        None
    )

    @property
    def given(self) -> dict[str, str] | None:
        """What was given, by the field of `schemas.remote.RemotePlace`; None: nothing."""
        named = {"url": self.url, "endpoint": self.endpoint, "region": self.region}
        return {name: value for name, value in named.items() if value is not None} or None


Word = Annotated[
    str | None,
    Parameter(help="A run id or a version (its first digits), an alias, or latest, as of every command. [everything]"),
]


@contextmanager
def opened(place: PlaceOptions, home: str | None) -> Iterator[Shared]:
    """Open the remote for a command. Raises: UsageError: there is none.  RemoteError."""
    from idxflow.api import open_remote

    found = open_remote(home, **(place.given or {}))
    try:
        yield found
    finally:
        found.close()


@remote.command(
    help_epilogue="Examples:\n  idxflow remote status\n  idxflow remote status --url s3://BUCKET/PREFIX --json"
)
def status(*, place: PlaceOptions = PlaceOptions(), json: Json = False, home: Home = None) -> int:
    """Show what the remote has, what is only here, and who shares it."""
    from idxflow.views.console import open_console
    from idxflow.views.remote import print_remote

    with opened(place, home) as shared:
        found = shared.status()
    put_json(found) if json else print_remote(open_console(), found)
    return DONE


@remote.command(
    help_epilogue="Examples:\n  idxflow remote push\n  idxflow remote push latest\n  idxflow remote push champion"
)
def push(
    word: Word = None,
    /,
    *,
    place: PlaceOptions = PlaceOptions(),
    json: Json = False,
    home: Home = None,
) -> int:
    """Put a run with all that it used, an artifact with what it was made from, or an alias there. Exit 1: not all."""
    return _moving("push", word, place, home, json=json)


@remote.command(help_epilogue="Examples:\n  idxflow remote pull latest@mnist\n  idxflow remote pull champion")
def pull(
    word: Word = None,
    /,
    *,
    place: PlaceOptions = PlaceOptions(),
    json: Json = False,
    home: Home = None,
) -> int:
    """Take a run, an artifact or an alias with all that it needs. Exit code 1: not all could be believed."""
    return _moving("pull", word, place, home, json=json)


@remote.command(help_epilogue="Examples:\n  idxflow remote verify\n  idxflow remote verify --fix")
def verify(
    *,
    fix: Annotated[bool, flag("Delete what cannot be believed; a push puts it there again.")] = False,
    place: PlaceOptions = PlaceOptions(),
    json: Json = False,
    home: Home = None,
) -> int:
    """Read and hash everything that is there; deletes nothing without --fix. Exit code 1 where anything is wrong."""
    from idxflow.views.console import open_console
    from idxflow.views.remote import print_remote_audit

    console = open_console(json=json)
    with opened(place, home) as shared, console.watching():
        found = shared.verify(fix=fix)
    put_json(found) if json else print_remote_audit(console, found)
    return FAILED if found.problems else DONE


@remote.command(help_epilogue="Examples:\n  idxflow remote gc\n  idxflow remote gc --grace 7d --yes")
def gc(
    *,
    keep: Annotated[int, count(0, "Hold what the last N completed runs of each data set here used. [5]")] = 5,
    grace: Annotated[
        str, Parameter(metavar="AGE", show_default=False, help="Leave what is younger, as 12h, 30d, 8w. [1d]")
    ] = "1d",
    yes: Annotated[bool, flag("Delete; without it nothing is deleted.")] = False,
    place: PlaceOptions = PlaceOptions(),
    json: Json = False,
    home: Home = None,
) -> int:
    """List what nobody who shares the remote holds; with --yes delete it. Ages are by the server's clock."""
    from idxflow.cli.commands.gc import parse_age
    from idxflow.views.console import open_console
    from idxflow.views.remote import print_collected

    console, age = open_console(json=json), parse_age(grace, "--grace")
    with opened(place, home) as shared, console.watching():
        found = shared.collect(keep=keep, grace=age, really=yes)
    put_json(found) if json else print_collected(console, found)
    return DONE


def _moving(way: str, word: str | None, place: PlaceOptions, home: str | None, *, json: bool) -> int:
    from idxflow.views.console import open_console
    from idxflow.views.remote import print_moved

    console = open_console(json=json)
    with opened(place, home) as shared, console.watching():
        moved = shared.push(word) if way == "push" else shared.pull(word)
    put_json(moved) if json else print_moved(console, moved)
    return FAILED if any(each.is_wrong for each in moved) else DONE
