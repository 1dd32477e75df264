"""
Describe what lies at a path: classes, pictures, sizes, copies, and what a run would make of it.

Every file is read, and none is changed. With --out the description is
written as a TOML file, which `idxflow run --dataset` takes.

Examples:
  idxflow describe photos
  idxflow describe photos.zip --size 32x32 --fit pad
  idxflow describe photos --out photos.toml
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.cli.completing import places
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, PackOptions, home_of
from idxflow.cli.output import put_json
from schemas.errors import UsageError

Place = Annotated[
    str,
    Parameter(completer=places, help="A folder of pictures, one folder a class; an archive, a CSV or an .npz."),
]
Out = Annotated[Path | None, Parameter(metavar="FILE", help="A .toml to write the description into; none is replaced.")]


def describe(
    place: Place,
    /,
    *,
    pack: PackOptions = PackOptions(),  # noqa: B008 - immutable
    out: Out = None,
    json: Json = False,
    home: Home = None,
) -> int:
    """Describe what lies at a path."""
    from artifacts.store.store import Store
    from flows.described import describe_place
    from idxflow.cli.settings import load_settings
    from idxflow.views.console import open_console
    from idxflow.views.describe import print_description

    if out and (out.suffix != ".toml" or out.exists()):
        found = "one that is there" if out.exists() else f"the ending {out.suffix or 'of none'}"
        raise UsageError(
            "--out", expected="a new .toml file", found=found, way_out="Name another; nothing was written."
        )
    choices = load_settings({"pack": pack.given or None}).pack
    console = open_console(json=json)
    found_there = describe_place(Store(home_of(home), create=False), place, choices, out.parent if out else Path())
    if out:
        try:
            out.write_text(found_there.toml, encoding="utf-8")
        except (OSError, UnicodeEncodeError) as error:
            why = getattr(error, "strerror", None) or "a name that is no UTF-8"
            raise UsageError(
                str(out), expected="a file that can be written", found=why, way_out="Name another."
            ) from error
    put_json(found_there) if json else print_description(console, found_there, out)
    return DONE
