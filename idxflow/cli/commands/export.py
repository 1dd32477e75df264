"""`idxflow export`: a model as a folder that can be handed on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json
from idxflow.cli.printing import put_json
from idxflow.exporting.export import CARD, SUMS
from idxflow.views.console import open_console
from idxflow.views.summary import short_path
from schemas.text import amount, counted


def export(
    word: Annotated[
        str,
        Parameter(help="A run's id or a model's version, or its first digits as far as unique; an alias; latest."),
    ],
    folder: Annotated[Path, Parameter(name="DIR", help="A folder that is new or empty.")],
    /,
    *,
    json: Json = False,
    home: Home = None,
) -> int:
    """Write a model, and all that a stranger needs to use and judge it, into a folder."""
    console = open_console(json=json)
    archive = open_store(home)
    exported = archive.export(word, folder)
    if exported.left_out:
        console.warn(f"{', '.join(exported.left_out)} left out: what they come from is no longer in the store.")
    if json:
        put_json(exported.model_dump_json(indent=2))
        return DONE
    place = short_path(exported.folder)
    console.fact("Model", exported.artifact)
    console.fact(
        "Exported", f"{place}, {counted(len(exported.files), 'file')}, {amount(sum(exported.files.values()), 'bytes')}"
    )
    console.fact("Card", f"{place}/{CARD}")
    console.fact("To check it", f"cd {shlex.quote(place)} && sha256sum -c {SUMS}")
    return DONE
