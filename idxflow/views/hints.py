"""The labels that are worth a second look, as a table, and what to do with it."""

from __future__ import annotations

from pathlib import Path

from idxflow.hinting.hints import LabelHints
from idxflow.views.console import Console
from idxflow.views.layout import short_path
from schemas.corrections import CORRECTIONS
from schemas.counts import counted
from schemas.text import share


def print_hints(console: Console, found: LabelHints, written: Path | None = None) -> None:
    """Print the table; without a hint, why there may be none. Args: written: the CSV file that has them, too."""
    agreed = share(found.agreed / found.images)
    who = f"{found.folds} networks, each about images that it has not seen" if found.folds else "the run's network"
    console.fact("Run", f"{found.run} of {found.dataset}")
    console.fact(
        "Train images", f"{found.images:,}, of which {found.agreed:,} ({agreed}) are named as they are labelled"
    )
    console.fact("Asked", who)
    shown = f", the first {len(found.hints):,} of them below" if len(found.hints) < found.worth else ""
    console.fact("Worth a look", f"{counted(found.worth, 'label', ',')}{shown}" if found.worth else "no label")
    if found.by_heart:
        console.warn(
            f"The network names {agreed} of the train images as they are labelled: it may have learned wrong labels "
            "by heart. `--folds 5` asks networks that have not seen them."
        )
    if not found.hints:
        return
    named = any(one.file for one in found.hints)
    header = ["sample", *(["file"] if named else []), "label", "predicted", "probability", "loss", "excess"]
    console.line()
    console.table(
        header,
        [
            [
                str(one.sample),
                *([one.file] if named else []),
                one.label,
                one.predicted,
                share(one.probability),
                f"{one.loss:.2f}",
                f"{one.excess:.2f}",
            ]
            for one in found.hints
        ],
        right=("sample", "probability", "loss", "excess"),
    )
    console.line()
    if written:
        console.fact("Written", short_path(written))
    columns, where = ("file,label", "in its folder or beside its description") if named else ("sample,split,label", "")
    console.line(
        f"Look at these images. Where a label is wrong, put `{columns},who,why` into {CORRECTIONS} "
        f"{where or 'beside the description of the set'}: the next run uses the right one. See docs/labels.md."
    )
