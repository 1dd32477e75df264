"""
Name new images with a trained model: pictures, folders, archives, CSV, npz, IDX.

Each image gets its class, the probability, the runner-up, whether the model is
sure, and whether the image is unlike anything it was trained on. Each file that
gives no image is listed with the reason. Pictures are prepared as they were for
training. Where class folders or labels are there, the accuracy is printed, too.

Exit codes: 0 done, 1 a stage failed or no file gave an image, 2 wrong usage.

Examples:
  idxflow predict latest digit.png
  idxflow predict champion scans/ --out scans.csv
  idxflow predict latest@mnist t10k-images-idx3-ubyte.gz --json
  idxflow predict /srv/models/digits-7 digit.png         a model that was exported
  idxflow predict champion inbox/ --new --out all.csv    only what is new there
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from idxflow.cli.completing import models, places
from idxflow.cli.ending import DONE, FAILED
from idxflow.cli.options import Home, Json, count, flag, home_of
from idxflow.cli.output import put_json
from schemas.errors import UsageError

NOTHING = "Nothing has run."


def predict(
    model: Annotated[
        str,
        Parameter(
            completer=models,
            help="A run, a model, an alias, or latest (latest@mnist: of a data set); or an exported folder.",
        ),
    ],
    paths: Annotated[
        list[str],
        Parameter(
            name="PATH",
            completer=places,
            help="What to name: a picture, folder, archive, CSV, npz or IDX file; several are taken.",
        ),
    ],
    /,
    *,
    out: Annotated[Path | None, Parameter(metavar="FILE", help="A new .csv or .parquet file for every answer.")] = None,
    new: Annotated[
        bool, flag("Only files that this model has not named yet at that path; --out then has all, and is replaced.")
    ] = False,
    fit: Annotated[
        str | None,
        Parameter(metavar="HOW", help="Of a picture of another size: exact, pad or stretch. [as for training]"),
    ] = None,
    background: Annotated[
        int | None,
        count(0, "0 to 255: what transparent parts are laid on. [as for training]", metavar="LEVEL"),
    ] = None,
    frames: Annotated[
        str | None, Parameter(metavar="WHICH", help="first: take the first frame. [as for training]")
    ] = None,
    deep: Annotated[
        str | None, Parameter(metavar="HOW", help="shift: of 16 bits keep the higher 8. [as for training]")
    ] = None,
    label: Annotated[str | None, Parameter(metavar="COLUMN", help="Column of the labels in a CSV or TSV.")] = None,
    home: Home = None,
    json: Json = False,
) -> int:
    """Name new images."""
    if not paths:
        raise UsageError("PATH", expected="at least one", found="none", way_out=NOTHING)
    from artifacts.store.store import Store
    from flows.answer_files import check_target, write_answers
    from flows.answers import may_be_exported
    from idxflow.api import open_store
    from idxflow.cli.interrupts import interruptible
    from idxflow.views.answers import print_answers
    from idxflow.views.console import open_console

    if may_be_exported(model) and not home_of(home).exists():
        Store(home_of(home))  # whoever was given a model by others has no store yet
    archive, console = open_store(home), open_console(json=json)
    if out:
        check_target(out, paths, replaced=new)
    said: dict[str, Any] = {"fit": fit, "background": background, "frames": frames, "deep": deep}
    with interruptible():
        answers = archive.predict(model, *paths, label=label, only_new=new, **said)
    table = answers.table()
    total = table.num_rows
    if out:
        written = answers.so_far() if new else table
        write_answers(out, written, replaced=new)
        total = written.num_rows
    if json:
        put_json({**answers.model_dump(), "answers": table.to_pylist()})
    else:
        print_answers(console, answers, table, out, total)
        if new and not answers.places:
            console.line("Nothing new.")
    return DONE if answers.images or new or not answers.refused else FAILED
