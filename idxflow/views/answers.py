"""What a network said of new images, for people: each image of a few, and of many what matters about all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idxflow.predicting.document import Answers, ScoredPlace
from idxflow.views.console import Console
from idxflow.views.layout import short_path
from schemas.counts import counted
from schemas.text import share, span
from tasks.formats.tree import LEFT_OUT

if TYPE_CHECKING:
    import pyarrow as pa

EACH = 20
"""Images up to which each has a line."""
BY_RULE = frozenset(rule for rule, _ in LEFT_OUT)
"""Reasons that are about files of an operating system: the others come first."""
OTHER_SIZE = "pixels, not "
"""In the reason for a picture of another size."""
LEAST_SURE = 5
"""Images of many that are shown, the least sure ones."""
SEVERAL = 5
"""Places of which each has lines of its own; of more, those whose images have drifted."""
REASONS = 5
"""Reasons for refusing files that are told of a place."""


def print_answers(console: Console, answers: Answers, table: pa.Table, written: Path | None, total: int = 0) -> None:
    """
    Print what was said.

    Args:
        table:          a row per image and refused file.
        written, total: the file that has them, too, and how many rows it has.
    """
    trained = f", {share(answers.accuracy)} right on test" if answers.accuracy is not None else ""
    console.fact("Model", f"{answers.model} of {answers.model_of}, {answers.dataset}{trained}")
    rows = table.to_pylist() if table.num_rows <= EACH else []
    several = len(answers.places) > SEVERAL
    if several:
        refused = f"; {counted(answers.refused, 'file', ',')} refused" if answers.refused else ""
        console.fact("Images", f"{answers.images:,} in {counted(len(answers.places), 'place', ',')}{refused}")
    for place in answers.places:
        if not several or place.drift:
            _print_place(console, place, every=bool(rows))
    if rows:
        console.line()
        console.table(*listed(rows))
    elif answers.images:
        console.line()
        console.line(f"The {LEAST_SURE} least sure images:")
        console.table(*listed(least_sure(table)))
    if not written and not rows and answers.images:
        console.line()
        console.line("Every image, with its probability: --out FILE.csv or FILE.parquet.")
    if written:
        console.line()
        new = f", {table.num_rows:,} of them new" if total != table.num_rows else ""
        console.fact("Written", f"{short_path(written)}, {counted(total, 'row', ',')}{new}")


def _print_place(console: Console, place: ScoredPlace, *, every: bool) -> None:
    scored = place.scored
    refused = sum(scored.refused.values())
    more = f"; {counted(refused, 'file', ',')} refused" if refused else ""
    cached = ", as an earlier call named them" if place.cached and scored.images else ""
    console.fact("Images", f"{scored.images:,} in {place.name}{more}{cached}")
    reasons = sorted(scored.refused.items(), key=lambda each: (each[0] in BY_RULE, -each[1]))
    for reason, number in reasons[:REASONS]:
        hint = ". --fit pad or --fit stretch scales them" if OTHER_SIZE in reason else ""
        console.fact("Refused", f"{number:,}: {reason}{hint}")
    if rest := sum(number for _, number in reasons[REASONS:]):
        console.fact("Refused", f"{rest:,} for other reasons")
    if not scored.images:
        return
    if not every:
        most = sorted(scored.classes.items(), key=lambda each: -each[1])
        console.fact("Classes", ", ".join(f"{name}: {number:,}" for name, number in most[:12]) + _others(most))
    if scored.sure is not None:
        known = f"; of such test images {share(scored.sure_right)} were right" if scored.sure_right is not None else ""
        console.fact("Sure of", f"{scored.sure:,} ({share(scored.sure / scored.images)}){known}")
    if scored.unlike:
        console.fact("Unlike", f"{counted(scored.unlike, 'image', ',')} unlike anything trained on")
    if scored.drift:
        console.fact("Drift", scored.words)
        console.warn(f"{place.name}: unlike the images of training: {scored.words}.")
    elif not every:
        console.fact("Drift", scored.words)
    if scored.metrics and scored.metrics.interval:
        unknown = f"; {scored.unknown:,} have another label" if scored.unknown else ""
        interval = f"95 % interval {span(scored.metrics.interval)}"
        console.fact(
            "Accuracy", f"{share(scored.metrics.accuracy)} of {scored.labelled:,} labelled images, {interval}{unknown}"
        )


def _others(most: Sequence[tuple[str, int]]) -> str:
    return f" and {len(most) - 12} more" if len(most) > 12 else ""


def least_sure(table: pa.Table) -> list[dict[str, Any]]:
    """Return the images of which the network is least sure, as rows of `schemas.scoring.Answer`."""
    import pyarrow.compute as pc

    named = table.filter(pc.is_valid(table["probability"]))
    first = pc.select_k_unstable(named, LEAST_SURE, [("probability", "ascending")])
    rows: list[dict[str, Any]] = named.take(first).to_pylist()
    return rows


def listed(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]], tuple[str, ...]]:
    """Return images and refused files as a table: header, rows, and the columns that are aligned to the right."""
    several = any(row["sample"] for row in rows)
    header = ["file", *(["row"] if several else []), "class", "probability", "next", "of", "sure"]
    lines = []
    for row in rows:
        place = [row["file"], *([str(row["sample"] if row["sample"] is not None else "")] if several else [])]
        if row["reason"]:
            lines.append([*place, "refused", "", row["reason"], "", ""])
            continue
        sure = {None: "", True: "yes", False: "no"}[row["sure"]]
        lines.append(
            [
                *place,
                row["predicted"],
                share(row["probability"]),
                row["runner_up"],
                share(row["runner_up_probability"]),
                f"{sure}{', unlike training' if row['unlike'] else ''}".removeprefix(", "),
            ]
        )
    return header, lines, ("row", "probability", "of")
