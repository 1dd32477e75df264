"""
Write a model to a folder, with everything that others need to use and judge it.

The model in one format or several, its normaliser, class names, metrics,
history, lineage, report and figures, a model card (README.md) and SHA256SUMS.
Everything is hashed first: nothing damaged is exported. Each format is read
again, and has to give the stored prediction of every test image (litert-int8,
which is rounded, is measured). A failure leaves nothing behind.

All but keras and saved_model need idxflow's extra `export`.

Examples:
  idxflow export latest model        the model of the newest completed run
  idxflow export champion /srv/models/digits-7
  idxflow export latest model --format keras,onnx,litert,saved_model
  idxflow export latest model --format onnx --sign ~/signing.key --sbom
  idxflow export train/f28b model --json
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from idxflow.api import open_store
from idxflow.cli.completing import one_of
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, Word, flag, several
from idxflow.cli.output import put_json
from idxflow.exporting.export import CARD, SUMS, Exported
from idxflow.exporting.formats.form import FORMATS
from idxflow.exporting.signing import SIGNATURE
from idxflow.views.console import Console, open_console
from idxflow.views.layout import short_path
from schemas.counts import counted
from schemas.text import amount


def export(
    word: Word,
    folder: Annotated[Path, Parameter(name="DIR", help="A folder that is new or empty.")],
    /,
    *,
    format: Annotated[  # noqa: A002 - as the option is called
        list[str] | None,
        several("FORMAT", f"{', '.join(FORMATS)}; several with commas. [keras]", completer=one_of(*FORMATS)),
    ] = None,
    sign: Annotated[
        Path | None,
        Parameter(metavar="KEY", help="Sign the folder, by model-signing, with this private key (EC, PEM, mode 600)."),
    ] = None,
    sbom: Annotated[bool, flag("List the packages that are installed here, as CycloneDX.")] = False,
    json: Json = False,
    home: Home = None,
) -> int:
    """Write a model to a folder."""
    console = open_console(json=json)
    formats = [name.strip() for given in format or ["keras"] for name in given.split(",")]
    exported = open_store(home).export(word, folder, formats=formats, sign=sign, sbom=sbom)
    if exported.left_out:
        console.warn(f"{', '.join(exported.left_out)} left out: what they come from is no longer in the store.")
    if exported.unproved:
        console.warn(f"The model was not held against its stored predictions: {exported.unproved}.")
    if json:
        put_json(exported)
        return DONE
    say(console, exported)
    return DONE


def say(console: Console, exported: Exported) -> None:
    """Print where what is, what was proved, and how both are checked."""
    place, size = short_path(exported.folder), amount(sum(exported.files.values()), "bytes")
    console.fact("Model", exported.artifact)
    console.fact("Exported", f"{place}, {counted(len(exported.files), 'file')}, {size}")
    for proof in exported.proofs:
        console.fact("Proved" if proof.exact else "Measured", f"{proof.format}: {proof.words}")
    console.fact("Card", f"{place}/{CARD}")
    console.fact("To check it", f"cd {shlex.quote(place)} && sha256sum -c {SUMS}")
    if exported.signed:
        command = f"model_signing verify key --signature {SIGNATURE} --public_key KEY.pub ."
        console.fact("Signature", f"cd {shlex.quote(place)} && {command}")
        console.fact("Public key", f"SHA-256 {exported.signed}; `openssl pkey -in KEY -pubout -out KEY.pub` writes it")
