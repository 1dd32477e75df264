"""Two runs side by side: what differs in their making, and in their results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from json import dumps

from rich.text import Text

from idxflow.comparing.comparison import Change, ClassChange, Comparison, Difference
from idxflow.comparing.significance import Disagreement, Image
from idxflow.comparing.trainings import HeldOutTest, Trained, TrainingComparison
from idxflow.views.console import Console
from idxflow.views.layout import few, local_time, table_lines
from schemas.counts import counted
from schemas.results import LISTED
from schemas.text import share

ROWS = 20
"""Differences that a section shows; the JSON document has all."""
WIDE = 24
"""Characters of a value, beyond which its beginning stands for it."""
SMALLEST_P = 0.0001
"""A smaller p-value is shown as `p < 0.0001`."""
FEW = 4
"""Stages that are named; more are counted."""
FIGURES = ("A", "B", "B - A")
ENVIRONMENT = "Environment of the training"
SPELT = "Is the difference in test accuracy significant?"
"""What the exact McNemar test answers."""
HELD_OUT = "Is the difference in held-out accuracy significant?"
"""The same, of two trainings that nobody has tested."""


def print_comparison(console: Console, comparison: Comparison, images: int) -> None:
    """
    Print a comparison, section by section.

    Args: images: how many to show of those that only A gets right, and of those that only B does.
    """
    sides = [
        (name, side.id, local_time(side.started), side.dataset, side.profile, side.model)
        for name, side in (("A", comparison.a), ("B", comparison.b))
    ]
    console.table(("", "run", "started", "data set", "profile", "model"), sides)
    apart = True
    for title, lines in _sections(comparison, images):
        if lines or apart:
            console.line()
        console.line(title)
        console.lines(Text.assemble("  ", line) for line in lines)
        apart = bool(lines)


def print_trainings(console: Console, comparison: TrainingComparison) -> None:
    """Print two trainings side by side, section by section."""
    sides = [
        (name, f"{each.stage}/{each.version}", each.run, each.dataset, f"{each.kept} of {each.epochs}", _weights(each))
        for name, each in (("A", comparison.a), ("B", comparison.b))
    ]
    console.table(("", "training", "run", "data set", "epoch kept", "weights"), sides, ("epoch kept", "weights"))
    figures = [(f"held-out {each.metric}", *figures_of(each, each.metric != "loss")) for each in comparison.figures]
    for title, found in (
        ("Parameters", _difference_lines(comparison.parameters, beginnings)),
        ("Data", _difference_lines(comparison.data, beginnings)),
        ("Code", _difference_lines(comparison.code, _presence)),
        ("Held-out rows", _table(("", *FIGURES), figures, FIGURES)),
    ):
        lines = list(found)
        same = ": none in one of them" if title == "Held-out rows" else ": the same"
        console.line()
        console.line(Text.assemble((title, "bold"), "" if lines else same))
        console.lines(Text.assemble("  ", line) for line in lines)
    console.line()
    console.line(Text(HELD_OUT, "bold"))
    said, why = verdict_on_trainings(comparison)
    console.line(Text.assemble("  ", (said, "bold"), f": {why}"))


def verdict_on_trainings(comparison: TrainingComparison) -> tuple[str, str]:
    """Return whether chance explains the difference on held-out rows, and how that is known or why it is not."""
    if (found := comparison.test) is None:
        return "Not tested", f"{comparison.no_test}."
    which = f"of {counted(found.rows, 'row', ',')} only A gets {found.b:,} right, only B {found.c:,}"
    return _significant(found), f"Exact McNemar test, level {found.level}: {which}"


def _significant(found: Disagreement | HeldOutTest) -> str:
    """Say whether one is better, and which: `Yes (p = 0.013): B is better`."""
    shown = f"p = {found.p_value:.3g}" if found.p_value >= SMALLEST_P else f"p < {SMALLEST_P}"
    if not found.more_than_chance:
        return f"No ({shown}): neither is better by more than chance"
    return f"Yes ({shown}): {'A' if found.b > found.c else 'B'} is better"


def _weights(side: Trained) -> str:
    return "-" if side.weights is None else f"{side.weights:,}"


def _sections(comparison: Comparison, images: int) -> Iterator[tuple[Text, list[str | Text]]]:
    """Yield each section's title and lines; where the runs are the same, only a title that says so."""
    metrics = [(f"{each.split} {each.metric}", *figures_of(each, each.metric != "loss")) for each in comparison.metrics]
    sides = (("A", comparison.a.gone), ("B", comparison.b.gone))
    if gone := [f"{name}  {few(names, FEW)}" for name, names in sides if names]:
        yield Text("No longer in the store, and not compared", "bold"), list(gone)
    for title, lines in (
        ("Parameters", _difference_lines(comparison.parameters, beginnings)),
        ("Data", _difference_lines(comparison.data, beginnings)),
        ("Code", _difference_lines(comparison.code, _presence)),
        (ENVIRONMENT, _difference_lines(comparison.environment, beginnings)),
        ("Metrics", table_lines(("", *FIGURES), metrics, FIGURES)),
        ("Recall of the test images, by class", _class_lines(comparison)),
    ):
        shown = list(lines)
        same = ": the same, as far as it is stored" if comparison.untold else ": the same"
        if title == ENVIRONMENT and "train" in comparison.untold:
            same = ": not compared"
        yield Text.assemble((title, "bold"), "" if shown else same), shown
    yield Text(SPELT, "bold"), list(_verdict_lines(comparison))
    if found := comparison.disagreement:
        for right, rows in (("A", found.only_a_right), ("B", found.only_b_right)):
            title = f"Test images that only {right} gets right"
            yield Text.assemble((title, "bold"), f": {len(rows)}"), list(_image_lines(rows, images))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> Iterator[Text]:
    """Yield the lines of a table, but no header alone."""
    return table_lines(header, rows, right) if rows else iter(())


def _difference_lines(
    differences: Sequence[Difference], values: Callable[[Difference], tuple[str, str]]
) -> Iterator[str | Text]:
    rows = [(each.name, *values(each), _users(each)) for each in differences[:ROWS]]
    yield from _table(("", "A", "B", "used by" if any(user for *_, user in rows) else ""), rows)
    if len(differences) > ROWS:
        yield f"and {len(differences) - ROWS} more, which --json shows"


def _class_lines(comparison: Comparison) -> Iterator[str | Text]:
    if comparison.classes is None:
        yield f"Not compared: {comparison.no_classes}."
        return
    rows = [(each.name, _support(each), *figures_of(each, ratio=True)) for each in comparison.classes[:LISTED]]
    yield from _table(("class", "images", *FIGURES), rows, ("images", *FIGURES))
    if rows and comparison.unchanged_classes:
        yield f"and {counted(comparison.unchanged_classes, 'class')} with the same recall in both"
    if (more := len(comparison.classes) - LISTED) > 0:
        yield f"and {more} more, which --json shows"


def verdict(comparison: Comparison) -> tuple[str, str]:
    """Return whether chance explains the difference in test accuracy, and how that is known or why it is not."""
    if (found := comparison.disagreement) is None:
        return "Not tested", f"{comparison.no_disagreement}."
    which = f"only A gets {counted(found.b, 'image')} right, only B {found.c}"
    return _significant(found), f"Exact McNemar test, level {found.level}: {which}"


def _verdict_lines(comparison: Comparison) -> Iterator[str | Text]:
    said, why = verdict(comparison)
    if comparison.disagreement is None:
        yield f"{said}: {why}"
        return
    yield Text(said, "bold")
    yield why


def _image_lines(rows: Sequence[Image], images: int) -> Iterator[str | Text]:
    named = any(image.file for image in rows[:images])
    header = (
        "sample_id",
        *(("file",) if named else ()),
        "label",
        "A predicts",
        "probability",
        "B predicts",
        "probability",
    )
    cells = [
        (
            str(each.sample_id),
            *((each.file,) if named else ()),
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


def _support(change: ClassChange) -> str:
    a, b = change.support_a, change.support_b
    return str(a) if a == b else f"{a} / {b}"


def figures_of(change: Change, ratio: bool) -> tuple[str, str, str]:
    """Return both figures and the difference: of ratios in percent and percentage points."""
    if not ratio:
        return f"{change.a:.4f}", f"{change.b:.4f}", f"{_rounded(change.difference, 4):+.4f}"
    return share(change.a), share(change.b), f"{_rounded(100 * change.difference, 2):+.2f} points"


def _rounded(figure: float, digits: int) -> float:
    """Round without leaving a negative zero, which would be written as -0.00."""
    return round(figure, digits) + 0.0


def beginnings(difference: Difference) -> tuple[str, str]:
    """Return both values, long ones by their beginnings if these differ."""
    values = (difference.a, difference.b)
    texts = [value if isinstance(value, str) else "-" if value is None else dumps(value) for value in values]
    one, other = (text if len(text) <= WIDE else f"{text[: WIDE - 8]}..." for text in texts)
    return (texts[0], texts[1]) if one == other else (one, other)


def _presence(difference: Difference) -> tuple[str, str]:
    """Say which run has a file of code: its digest means nothing to a person."""
    if difference.a is None or difference.b is None:
        return ("-", "present") if difference.a is None else ("present", "-")
    return "present", "differs"


def _users(difference: Difference) -> str:
    """Return the stages that depend on something, and their one subject: `verify parse of test`."""
    stages = list(dict.fromkeys(stage.split()[0] for stage in difference.stages))
    names = {name for _, _, name in (stage.partition(" ") for stage in difference.stages)}
    users = " ".join(stages) if len(stages) <= FEW else counted(len(stages), "stage")
    return f"{users} of {name}" if len(names) == 1 and (name := names.pop()) else users
