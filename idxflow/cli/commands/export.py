"""
Write a model to a folder, with everything that others need to use and judge it.

The Keras model, its normaliser, class names, metrics, history, lineage,
a model card (README.md) and SHA256SUMS. Everything is hashed first: nothing
damaged is exported, and a failure leaves nothing behind.

Examples:
  idxflow export latest model        the model of the newest completed run
  idxflow export champion /srv/models/digits-7
  idxflow export train/f28b model --json
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.api import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, Word
from idxflow.cli.output import put_json
from idxflow.exporting.export import CARD, SUMS
from idxflow.views.console import open_console
from idxflow.views.layout import short_path
from schemas.counts import counted
from schemas.text import amount


def export(
    word: Word,
    folder: Annotated[Path, Parameter(name="DIR", help="A folder that is new or empty.")],
    /,
    *,
    json: Json = False,
    home: Home = None,
) -> int:
    """Write a model to a folder."""
    console = open_console(json=json)
    exported = open_store(home).export(word, folder)
    if exported.left_out:
        console.warn(f"{', '.join(exported.left_out)} left out: what they come from is no longer in the store.")
    if json:
        put_json(exported)
        return DONE
    place, size = short_path(exported.folder), amount(sum(exported.files.values()), "bytes")
    console.fact("Model", exported.artifact)
    console.fact("Exported", f"{place}, {counted(len(exported.files), 'file')}, {size}")
    console.fact("Card", f"{place}/{CARD}")
    console.fact("To check it", f"cd {shlex.quote(place)} && sha256sum -c {SUMS}")
    return DONE
