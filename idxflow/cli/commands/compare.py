"""`idxflow compare`: two runs held against each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from json import dumps
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from idxflow.archive import open_store
from idxflow.cli.ending import DONE
from idxflow.cli.options import Home, Json, count_from
from idxflow.cli.printing import put_json
from idxflow.comparing.comparison import Change, ClassChange, Comparison, Difference, Side
from idxflow.comparing.significance import Image
from idxflow.views.console import Console, open_console
from idxflow.views.tables import table_lines
from idxflow.views.times import local_time
from schemas.results import LISTED
from schemas.text import counted, share

ROWS = 20
"""Differences that a section shows; the JSON document has all."""
WIDE = 24
"""Characters of a value, beyond which its beginning stands for it."""
SMALLEST_P = 0.0001
"""A p-value below it is told as that."""
FEW = 4
"""Stages that are named; more are counted."""
FIGURES = ("A", "B", "B - A")


def compare(
    run_a: Annotated[str, Parameter(help="A run: the beginning of its id, an alias, or latest.")],
    run_b: Annotated[str, Parameter(help="The run to hold against it.")],
    /,
    *,
    images: Annotated[
        int,
        Parameter(
            converter=count_from(0), help="Images to show of those that only A, and of those that only B gets right."
        ),
    ] = 5,
    home: Home = None,
    json: Json = False,
) -> int:
    """Hold two runs against each other: what differs in what they were made from, and in what came of it."""
    comparison = open_store(home).compare(run_a, run_b)
    if json:
        put_json(comparison.model_dump_json(indent=2))
    else:
        show(open_console(), comparison, images)
    return DONE


def show(console: Console, comparison: Comparison, images: int) -> None:
    """
    Print a comparison, section by section.

    Args: images: how many to show of those that only A gets right, and of those that only B does.
    """
    sides = [_side(name, side) for name, side in (("A", comparison.a), ("B", comparison.b))]
    for row in table_lines(("", "run", "started", "data set", "profile", "model"), sides):
        console.line(row)
    apart = True
    for title, lines in _sections(comparison, images):
        if lines or apart:
            console.line()
        console.line(title)
        for line in lines:
            console.line(Text.assemble("  ", line))
        apart = bool(lines)


def _sections(comparison: Comparison, images: int) -> Iterator[tuple[Text, list[str | Text]]]:
    """Yield each section's title and lines. What is the same in both runs has none, and its title says so."""
    metrics = [(f"{each.split} {each.metric}", *_figures(each, each.metric != "loss")) for each in comparison.metrics]
    if gone := list(_gone_lines(comparison)):
        yield Text("No longer in the store, and not compared", "bold"), gone
    for title, lines in (
        ("Parameters", _difference_lines(comparison.parameters, _beginnings)),
        ("Data", _difference_lines(comparison.data, _beginnings)),
        ("Code", _difference_lines(comparison.code, _presence)),
        ("Environment of the training", _difference_lines(comparison.environment, _beginnings)),
        ("Metrics", table_lines(("", *FIGURES), metrics, FIGURES)),
        ("Recall of the test images, by class", _class_lines(comparison)),
    ):
        shown = list(lines)
        same = ": the same, as far as it is stored" if comparison.untold else ": the same"
        yield Text.assemble((title, "bold"), "" if shown else same), shown
    yield Text("Is the difference in test accuracy more than chance?", "bold"), list(_verdict_lines(comparison))
    if found := comparison.disagreement:
        for right, rows in (("A", found.only_a_right), ("B", found.only_b_right)):
            title = f"Test images that only {right} gets right"
            yield Text.assemble((title, "bold"), f": {len(rows)}"), list(_image_lines(rows, images))


def _gone_lines(comparison: Comparison) -> Iterator[str | Text]:
    for name, side in (("A", comparison.a), ("B", comparison.b)):
        if side.gone:
            more = f", and {len(side.gone) - FEW} more" if len(side.gone) > FEW else ""
            yield f"{name}  {', '.join(side.gone[:FEW])}{more}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> Iterator[Text]:
    """Yield the lines of a table, but no header alone."""
    return table_lines(header, rows, right) if rows else iter(())


def _difference_lines(
    differences: Sequence[Difference], values: Callable[[Difference], tuple[str, str]]
) -> Iterator[str | Text]:
    rows = [(each.name, *values(each), _users(each)) for each in differences[:ROWS]]
    yield from _table(("", "A", "B", "used by" if any(user for *_, user in rows) else ""), rows)
    if len(differences) > ROWS:
        yield f"and {len(differences) - ROWS} more, which --json has"


def _class_lines(comparison: Comparison) -> Iterator[str | Text]:
    if comparison.classes is None:
        yield f"This cannot be told: {comparison.no_classes}."
        return
    rows = [(each.name, _support(each), *_figures(each, ratio=True)) for each in comparison.classes[:LISTED]]
    yield from _table(("class", "images", *FIGURES), rows, ("images", *FIGURES))
    if (more := len(comparison.classes) - LISTED) > 0:
        yield f"and {more} more, which --json has"


def _verdict_lines(comparison: Comparison) -> Iterator[str | Text]:
    if (found := comparison.disagreement) is None:
        yield f"This cannot be asked: {comparison.no_disagreement}."
        return
    p_value = f"p = {found.p_value:.3g}" if found.p_value >= SMALLEST_P else f"p < {SMALLEST_P}"
    yield Text(
        f"{'More than chance' if found.more_than_chance else 'No more than chance explains'} ({p_value})", "bold"
    )
    yield f"Exact McNemar test, level {found.level}: only A gets {counted(found.b, 'image')} right, only B {found.c}"


def _image_lines(rows: Sequence[Image], images: int) -> Iterator[str | Text]:
    header = ("sample_id", "label", "A says", "probability", "B says", "probability")
    cells = [
        (
            str(each.sample_id),
            each.label,
            each.predicted_a,
            share(each.probability_a),
            each.predicted_b,
            share(each.probability_b),
        )
        for each in rows[:images]
    ]
    yield from _table(header, cells, ("sample_id", "probability"))
    if len(rows) > images:
        yield f"and {len(rows) - images} more, which --images {len(rows)} shows"


def _side(name: str, side: Side) -> tuple[str, ...]:
    return name, side.id, local_time(side.started), side.dataset, side.profile, side.model


def _support(change: ClassChange) -> str:
    a, b = change.support_a, change.support_b
    return str(a) if a == b else f"{a} / {b}"


def _figures(change: Change, ratio: bool) -> tuple[str, str, str]:
    """Return both figures and the difference: of ratios in percent and percentage points."""
    if not ratio:
        return f"{change.a:.4f}", f"{change.b:.4f}", f"{_rounded(change.difference, 4):+.4f}"
    return share(change.a), share(change.b), f"{_rounded(100 * change.difference, 2):+.2f} points"


def _rounded(figure: float, digits: int) -> float:
    """Round without leaving a negative zero, which would be written as -0.00."""
    return round(figure, digits) + 0.0


def _beginnings(difference: Difference) -> tuple[str, str]:
    """Write both values, long ones by their beginnings if these differ."""
    values = (difference.a, difference.b)
    texts = [value if isinstance(value, str) else "-" if value is None else dumps(value) for value in values]
    one, other = (text if len(text) <= WIDE else f"{text[: WIDE - 8]}..." for text in texts)
    return (texts[0], texts[1]) if one == other else (one, other)


def _presence(difference: Difference) -> tuple[str, str]:
    """Say which run has a file of code; what is in it, a digest does not tell a person."""
    if difference.a is None or difference.b is None:
        return ("-", "there") if difference.a is None else ("there", "-")
    return "there", "differs"


def _users(difference: Difference) -> str:
    """Return the stages that depend on something, and of what if that is one thing: `verify parse of test`."""
    stages = list(dict.fromkeys(stage.split()[0] for stage in difference.stages))
    names = {name for _, _, name in (stage.partition(" ") for stage in difference.stages)}
    said = " ".join(stages) if len(stages) <= FEW else f"{len(stages)} stages"
    return f"{said} of {name}" if len(names) == 1 and (name := names.pop()) else said
