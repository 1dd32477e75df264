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

if TYPE_CHECKING:
    import pyarrow as pa

EACH = 20
"""Images up to which each has a line."""
LEAST_SURE = 5
"""Images of many that are shown, the least sure ones."""
REASONS = 3
"""Reasons for refusing files that are told of a place."""


def print_answers(console: Console, answers: Answers, table: pa.Table, written: Path | None) -> None:
    """Print what was said. Args: table: a row per image and refused file; written: the file that has them, too."""
    trained = f", {share(answers.accuracy)} right on test" if answers.accuracy is not None else ""
    of = f"run {answers.model_of}" if answers.accuracy is not None else answers.model_of
    console.fact("Model", f"{answers.model} of {of}, {answers.dataset}{trained}")
    rows = table.to_pylist() if table.num_rows <= EACH else []
    for place in answers.places:
        _print_place(console, place, every=bool(rows))
    if rows:
        console.line()
        console.table(*listed(rows))
    elif answers.images:
        console.line()
        console.line(f"The {LEAST_SURE} least sure images:")
        console.table(*listed(least_sure(table)))
    if not written and not rows:
        console.line()
        console.line("Every image, with its probability: --out FILE.csv or FILE.parquet.")
    if written:
        console.line()
        console.fact("Written", f"{short_path(written)}, {counted(table.num_rows, 'row', ',')}")


def _print_place(console: Console, place: ScoredPlace, *, every: bool) -> None:
    scored = place.scored
    refused = sum(scored.refused.values())
    more = f"; {counted(refused, 'file', ',')} refused" if refused else ""
    files = f" of {counted(scored.files, 'file', ',')}" if scored.files != scored.images else ""
    cached = ", as an earlier call named them" if place.cached else ""
    console.fact("Images", f"{scored.images:,}{files} in {place.name}{more}{cached}")
    for reason, number in list(scored.refused.items())[:REASONS]:
        console.fact("Refused", f"{number:,}: {reason}")
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
