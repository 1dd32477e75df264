"""
What notebooks show of stores, runs, images, predictions and comparisons: pieces of HTML, all made here.

A piece asks for nothing from anywhere: figures and pictures are data addresses, and there is no script. Its style is
inside of it and touches nothing else. Everything is escaped by the template: names of classes, files and data sets come
from outside.
"""

from __future__ import annotations

import base64
import heapq
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from artifacts.store.disk import disk
from flows.run_record import RunRecord
from idxflow.comparing.studies import FoundStudy, find_study
from idxflow.listing.rows import row_of, time_taken
from idxflow.views.answers import EACH, least_sure, listed
from idxflow.views.comparison import HELD_OUT, SPELT, beginnings, figures_of, verdict, verdict_on_trainings
from idxflow.views.layout import few, local_time
from idxflow.views.run import place_of
from idxflow.views.study import tested_rows, trial_rows
from schemas.calibration import points
from schemas.counts import counted
from schemas.errors import IdxflowError
from schemas.results import PREDICTIONS, REPORT, unsaid
from schemas.space import compact
from schemas.text import duration, share, span
from schemas.training import History
from schemas.visible import in_a_line

if TYPE_CHECKING:
    import numpy.typing as npt
    from jinja2 import Template

    from artifacts.store.integrity import Stored
    from idxflow.api import Archive, ArchivedRun
    from idxflow.comparing.comparison import Comparison
    from idxflow.comparing.images import Images, Predictions
    from idxflow.comparing.significance import Disagreement
    from idxflow.comparing.trainings import TrainingComparison
    from idxflow.hinting.hints import LabelHints
    from idxflow.predicting.document import Answers
    from schemas.scoring import Scored

TEMPLATE, STYLE = (Path(__file__).with_suffix(suffix) for suffix in (".html", ".css"))
RUNS, ROWS, GRID, GALLERY, LISTED = 10, 10, 30, 8, 20
"""At most: runs of a store, rows of predictions, images of a split, pictures of a gallery, rows of a comparison."""
SIDE, COLOUR_SIDE = 48, 32
"""Pixels of a picture's longer side at most, as in the page; of a larger image means of squares are shown."""
DISPUTED = 500
"""Images at most that a page of its own shows of those that only one of two models gets right, for each of them."""
LARGEST, PICTURES, GRID_PICTURES = 190_000, 34_000, 130_000
"""Characters of a run's figures and pictures, of a gallery's pictures, of a split's: what is more is left out."""
PAGE_PICTURES = 1_200_000
"""The same, of each of the two galleries of a page of its own."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ margin: 0 auto; max-width: 62rem; padding: 1.5rem .8rem 4rem }}
body > div.idxflow {{ border: 0; background: none }}
body > div.idxflow :is(th, td) {{ overflow-wrap: break-word }}
@media (max-width: 40rem) {{
  body {{ padding: .5rem 0 3rem }}
  body > div.idxflow {{ padding: .9rem .7rem }}
  body > div.idxflow table {{ font-size: .78rem }}
  body > div.idxflow :is(th, td) {{ padding-right: .55rem }}
}}
@media print {{ body {{ padding: 0 }} figure, tr {{ break-inside: avoid }} }}
</style>
</head>
<body>
{piece}
</body>
</html>
"""


@dataclass(frozen=True)
class Link:
    """Words that lead somewhere. Args: address: of a page or a file; a relative one is seen from the working folder."""

    words: str
    address: str


@dataclass(frozen=True)
class Figure:
    """A figure or picture: its `data:` address, what it shows in words, and lines below it."""

    address: str
    alt: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Pictures under a title."""

    title: str
    pictures: tuple[Figure, ...]


@dataclass(frozen=True)
class Table:
    """Rows under a header. Args: right: names of the columns that are aligned to the right, as figures are."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | Link, ...], ...]
    title: str = ""
    right: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Piece:
    """
    All that a piece shows, in this order; what is empty is left out.

    Args:
        title:    what it is.
        about:    the same in a sentence.
        headline: figures: what of, the value, and what belongs to it.
        notes:    what weakens them, a sentence each.
        figures:  column by column.
    """

    title: str
    about: str = ""
    headline: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[tuple[Figure, ...], ...] = ()
    galleries: tuple[Gallery, ...] = ()
    links: tuple[Link, ...] = ()


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["visible"] = in_a_line
    environment.globals["style"] = STYLE.read_text(encoding="utf-8")
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def render(piece: Piece) -> str:
    """Return a piece as HTML that stands inside of another page."""
    return _template().render(piece=piece, Link=Link)


def store_html(archive: Archive) -> str:
    """Return a store: its newest runs, with their accuracy and reports."""
    history, now = archive.history(), datetime.now(UTC)
    shown = [RunRecord.of(record) for record in history.records[:RUNS]]
    rows = []
    for record in shown:
        row, report = row_of(archive.store, record, now), place_of(archive.store, record, "report", REPORT)
        accuracy = "" if row.test_accuracy is None else share(row.test_accuracy)
        rows.append(
            (
                row.id,
                local_time(row.started),
                row.dataset,
                row.profile,
                accuracy + (" (caveat)" if row.caveats else ""),
                span(row.interval) if row.interval else "",
                row.state,
                Link("report", _address(report)) if report else "",
            )
        )
    header = ("run", "when", "data set", "profile", "test accuracy", "95 % interval", "state", "")
    notes = [f"{counted(len(history.unreadable), 'file')} of the history cannot be read."] if history.unreadable else ()
    more = f", the newest {len(shown)} here" if len(history.records) > len(shown) else ""
    return render(
        Piece(
            f"Store {archive.store.home}",
            f"{counted(len(history.records), 'run')}{more}.",
            notes=tuple(notes),
            tables=(Table(header, tuple(rows), right=frozenset({"test accuracy"})),) if rows else (),
        )
    )


def run_html(run: ArchivedRun) -> str:
    """Return a run: its figures, what weakens them, curves, confusion, and the test images that tell most."""
    record, now = run.record, datetime.now(UTC)
    seconds = time_taken(record, run.state, now)
    took = "" if seconds is None else f" {'for' if run.state == 'running' else 'in'} {duration(seconds)}"
    about = f"{record.dataset or 'no data set'}, {record.profile} profile, seed {record.seed}"
    if record.scored_by:
        about = f"{record.dataset}, new images named by the model of run {record.scored_by}"
    notes = [caveat.message for caveat in record.caveats] + [*unsaid(record.warnings, record.caveats)]
    figures: tuple[tuple[Figure, ...], ...] = ()
    galleries: tuple[Gallery, ...] = ()
    if run.state == "completed" and record.report:
        try:
            galleries = tuple(_test_galleries(run))
            taken = sum(len(picture.address) for gallery in galleries for picture in gallery.pictures)
            figures = tuple(_stored_figures(run, LARGEST - taken))
        except IdxflowError as error:  # cleaned up, or damaged since: the run did complete
            notes.append(str(error))
    if record.study:
        try:
            took_so_far = f"{about}: {run.state}{took}, {local_time(record.started)}."
            study = find_study(run.store, record)
            return render(_study_piece(study, f"Run {run.id}", took_so_far, tuple(notes)))
        except IdxflowError as error:  # as above
            notes.append(str(error))
    links = []
    if (report := place_of(run.store, record, "report", REPORT)) and run.state == "completed":
        links.append(Link("report", _address(report)))
    if record.dashboard and urlsplit(record.dashboard).scheme in {"http", "https"}:
        links.append(Link("dashboard", record.dashboard))
    return render(
        Piece(
            f"Run {run.id}",
            f"{about}: {run.state}{took}, {local_time(record.started)}.",
            headline=tuple(_headline(run)),
            notes=(*([record.error] if record.error else []), *notes),
            tables=(_places(record.scored.items()),) if record.scored else (),
            figures=figures,
            galleries=galleries,
            links=tuple(links),
        )
    )


def images_html(images: Images) -> str:
    """Return the first images of a split, each under the name of its class."""
    shown = images.image[:GRID]
    pixels = shown if shown.dtype == "uint8" else _stretched(shown)
    names = [(images.classes[label],) for label in images.label[:GRID].tolist()]
    pictures = tuple(_pictures(pixels, names, GRID_PICTURES))
    more = f"The first {len(pictures)}. " if len(images.image) > len(pictures) else ""
    scale = "" if images.image.dtype == "uint8" else "From the least value, black, to the largest, white."
    about = (more + scale).strip()
    return render(Piece(repr(images).strip("<>").capitalize(), about, galleries=(Gallery("", pictures),)))


def predictions_html(predictions: Predictions) -> str:
    """Return the classes of the first images, with how probable they are and what came second."""
    rows = []
    for place, row in enumerate(predictions.probabilities[:ROWS].tolist()):
        first, second = heapq.nlargest(2, range(len(row)), key=row.__getitem__)
        rows.append(
            (str(place), predictions.name[place], share(row[first]), predictions.classes[second], share(row[second]))
        )
    header = ("image", "class", "probability", "runner-up", "its probability")
    more = f"The first {ROWS}." if len(predictions.name) > ROWS else ""
    table = Table(header, tuple(rows), right=frozenset({"image", "probability", "its probability"}))
    return render(Piece(repr(predictions).strip("<>").capitalize(), more, tables=(table,)))


def answers_html(answers: Answers) -> str:
    """Return what a network said of new images: of each place what matters, and the images, or the least sure ones."""
    tables = [_places((place.name, place.scored) for place in answers.places)]
    table = answers.table()
    each = table.num_rows <= EACH
    if rows := table.to_pylist() if each else least_sure(table):
        names, lines, right = listed(rows)
        title = "Every image" if each else "The least sure images"
        tables.append(Table(tuple(names), tuple(map(tuple, lines)), title, frozenset(right)))
    return render(Piece(repr(answers).strip("<>").capitalize(), tables=tuple(tables)))


def _places(scored: Iterable[tuple[str, Scored]]) -> Table:
    """Return what was said of the images of places, a row each."""
    rows = tuple(
        (
            place,
            f"{said.images:,}",
            f"{sum(said.refused.values()):,}",
            "" if said.sure is None else f"{said.sure:,}",
            f"{said.unlike:,}",
            said.words,
        )
        for place, said in scored
    )
    header = ("place", "images", "refused", "sure of", "unlike training", "drift")
    return Table(header, rows, right=frozenset(header[1:-1]))


def history_html(history: History) -> str:
    """Return the curves of a training."""
    from tasks.explaining.figures import draw_curve

    last = history.epochs[-1]
    kept = f"; the model is from epoch {history.kept}" if history.kept < last.epoch else ""
    figures = (
        (Figure(_svg(draw_curve(history, "loss")), "Loss by epoch"),),
        (Figure(_svg(draw_curve(history, "accuracy")), "Accuracy by epoch"),),
    )
    return render(Piece(counted(len(history.epochs), "epoch"), f"{history.held_out}{kept}.", figures=figures))


def hints_html(hints: LabelHints) -> str:
    """Return the labels that are worth a second look."""
    named = any(one.file for one in hints.hints)
    header = ("image", *(("file",) if named else ()), "label", "model says", "probability")
    rows = tuple(
        (str(one.sample), *((one.file,) if named else ()), one.label, one.predicted, share(one.probability))
        for one in hints.hints[:LISTED]
    )
    about = f"Of {counted(hints.images, 'train image', ',')} {hints.worth:,} worth a second look."
    table = Table(header, rows, right=frozenset({"image", "probability"}))
    return render(Piece("Doubtful labels", about, tables=(table,) if rows else ()))


def comparison_html(comparison: Comparison, test: Sequence[Stored] = ()) -> str:
    """
    Return two runs side by side: whether chance explains the difference, metrics, settings, and images as examples.

    Args: test: the table of the test images; None: no pictures.
    """
    return render(_comparison_piece(comparison, test, GALLERY, PICTURES))


def comparison_page(comparison: Comparison, test: Sequence[Stored] = ()) -> str:
    """Return the same as a page of its own, with all images that only one gets right, while there is room."""
    piece = render(_comparison_piece(comparison, test, DISPUTED, PAGE_PICTURES))
    return standalone(f"Runs {comparison.a.id} and {comparison.b.id}", piece)


def standalone(title: str, piece: str) -> str:
    """Return a piece as a page of its own, which asks for nothing from anywhere and runs nothing."""
    from markupsafe import escape

    return PAGE.format(title=escape(in_a_line(title)), piece=piece)


def _comparison_piece(comparison: Comparison, test: Sequence[Stored], most: int, room: int) -> Piece:
    a, b = comparison.a, comparison.b
    sides = tuple(
        (name, each.id, local_time(each.started), each.dataset, each.profile) for name, each in (("A", a), ("B", b))
    )
    tables = [Table(("", "run", "started", "data set", "profile"), sides)]
    figures = ("A", "B", "B - A")
    metrics = [
        (f"{each.split} {each.metric}", *figures_of(each, each.metric != "loss"))
        for each in comparison.metrics
        if "half" not in each.metric
    ]
    if metrics:
        tables.append(Table(("", *figures), tuple(metrics), right=frozenset(figures)))
    changed = [(each.name, *beginnings(each)) for each in comparison.parameters[:LISTED]]
    if changed:
        tables.append(Table(("setting", "A", "B"), tuple(changed), "What was set differently"))
    classes = [(each.name, *figures_of(each, ratio=True)) for each in (comparison.classes or ())[:LISTED]]
    if classes:
        title = "Recall of the test images, by class"
        tables.append(Table(("class", *figures), tuple(classes), title, frozenset(figures)))
        if same := comparison.unchanged_classes:
            classes.append((f"{counted(same, 'other')}", "the same", "", ""))
            tables[-1] = Table(("class", *figures), tuple(classes), title, frozenset(figures))
    notes = [f"No longer in the store, and not compared: {few(each.gone)}." for each in (a, b) if each.gone]
    galleries: tuple[Gallery, ...] = ()
    if test and comparison.disagreement:
        try:
            galleries = tuple(_disputed(comparison.disagreement, test, most, room))
        except IdxflowError as error:  # damaged
            notes.append(str(error))
    said, why = verdict(comparison)
    return Piece(f"{SPELT} {said}.", why, notes=tuple(notes), tables=tuple(tables), galleries=galleries)


def study_html(study: FoundStudy) -> str:
    """Return what a sweep found: the winner, its tests, the best trials, what mattered, and the figures."""
    return render(_study_piece(study, f"Study of {study.rules.dataset}"))


def _study_piece(study: FoundStudy, title: str, about: str = "", notes: tuple[str, ...] = ()) -> Piece:
    from tasks.explaining.study_page import FIGURES, address

    winner, headline = study.winner, list[tuple[str, str, str]]()
    if winner and winner.accuracy is not None and winner.loss is not None:
        values = ", ".join(f"{name} {compact(value)}" for name, value in winner.values.items())
        headline.append(("held-out accuracy", share(winner.accuracy), f"trial {winner.number}: {values}"))
    if study.means:
        headline.append(("test accuracy", share(study.means[0]), f"mean of {counted(len(study.tested), 'seed')}"))
        headline.append(("the profile's own", share(study.means[1]), "the same seeds"))
    counts = ", ".join(f"{study.count(state)} {state}" for state in ("complete", "pruned", "failed"))
    told = [f"{counted(len(study.trials), 'trial')}: {counts}."] + ([f"{study.verdict}."] if study.verdict else [])
    tables = []
    if study.tested:
        header, rows, right = tested_rows(study)
        tables.append(Table(header, tuple(rows), "On the test images", frozenset(right)))
    if ranked := study.ranked[:ROWS]:
        header, rows, right = trial_rows(study, ranked)
        tables.append(Table(header, tuple(rows), "The best trials", frozenset(right)))
    room, figures = LARGEST, list[tuple[Figure, ...]]()
    for name in ("history", "parallel", "importance"):
        if (drawn := FIGURES[name](study)) and len(where := address(drawn)) <= room:
            room -= len(where)
            figures.append((Figure(where, name),))
    links = (Link("page", _address(study.page)),)
    said = " ".join(filter(None, [about, *told]))
    return Piece(title, said, tuple(headline), notes, tuple(tables), tuple(figures), links=links)


def trainings_html(comparison: TrainingComparison) -> str:
    """Return two trainings side by side: whether chance explains the difference, figures and settings."""
    sides = tuple(
        (name, f"{each.stage}/{each.version}", each.run, each.dataset, f"{each.kept} of {each.epochs}")
        for name, each in (("A", comparison.a), ("B", comparison.b))
    )
    tables = [Table(("", "training", "run", "data set", "epoch kept"), sides)]
    figures = ("A", "B", "B - A")
    rows = tuple((f"held-out {each.metric}", *figures_of(each, each.metric != "loss")) for each in comparison.figures)
    if rows:
        tables.append(Table(("", *figures), rows, right=frozenset(figures)))
    if changed := tuple((each.name, *beginnings(each)) for each in comparison.parameters[:LISTED]):
        tables.append(Table(("setting", "A", "B"), changed, "What was set differently"))
    said, why = verdict_on_trainings(comparison)
    return render(Piece(f"{HELD_OUT} {said}", why, tables=tuple(tables)))


def _disputed(found: Disagreement, parts: Sequence[Stored], most: int, room: int) -> Iterator[Gallery]:
    """Yield the first test images that one of two models gets right, with what the other takes them for."""
    from tasks.formats.table import open_table
    from tasks.report import find_images

    sides = {"Only A gets right": found.only_a_right[:most], "Only B gets right": found.only_b_right[:most]}
    totals = {"Only A gets right": found.b, "Only B gets right": found.c}
    with disk(parts[0].folder):
        table = open_table([part.ref for part in parts])
        images = find_images(table, {one.sample_id for rows in sides.values() for one in rows})
    for title, rows in sides.items():
        lines = [
            (one.label, f"not {one.predicted_b if one.predicted_a == one.label else one.predicted_a}") for one in rows
        ]
        if pictures := tuple(_pictures([images[one.sample_id] for one in rows], lines, room)):
            of = f", {counted(totals[title], 'image', ',')}"
            more = f"; the first {len(pictures):,}" if len(pictures) < totals[title] else ""
            yield Gallery(f"{title}{of}{more}", pictures)


def _headline(run: ArchivedRun) -> Iterator[tuple[str, str, str]]:
    """Yield the accuracy of both splits, test first, and the calibration."""
    metrics = run.record.metrics
    for split, score in sorted(metrics.items(), key=lambda item: item[0] != "test"):
        interval = f"95 % interval {span(score.interval)}" if score.interval and split == "test" else ""
        yield f"{split} accuracy", share(score.accuracy), interval or f"loss {score.loss:.4f}"
    if (test := metrics.get("test")) and test.calibration_error is not None:
        words = "the mean distance of probabilities and accuracy (ECE)"
        yield "calibration error", f"{points(test.calibration_error)} points", words


def _stored_figures(run: ArchivedRun, left: int) -> Iterator[tuple[Figure, ...]]:
    """Yield the report's curves, and its confusion, as they are stored; what is too large is left to the report."""
    stored = run.artifact("report").folder
    columns = (("loss", "Loss by epoch"), ("accuracy", "Accuracy by epoch")), (("confusion", "Confusion matrix"),)
    for column in columns:
        with disk(stored):
            drawn = tuple(Figure(_svg((stored / f"{name}.svg").read_bytes()), alt) for name, alt in column)
        if (size := sum(len(figure.address) for figure in drawn)) <= left:
            left -= size
            yield drawn


def _test_galleries(run: ArchivedRun) -> Iterator[Gallery]:
    """Yield the wrong test images with the highest loss, and those of which the model is least sure."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from tasks.formats.table import open_table
    from tasks.report import find_images, worst_mistakes

    path = run.artifact("evaluate").ref.file(PREDICTIONS)
    classes = [one.name for one in run.metrics.test.classes]
    table = open_table(run.parts("test"))
    wrong = worst_mistakes(path, GALLERY)
    tested = pq.read_table(path, columns=["split", "sample_id", "label", "predicted", "probability"])
    tested = tested.filter(pc.field("split") == "test").sort_by(
        [("probability", "ascending"), ("sample_id", "ascending")]
    )
    unsure = tested.slice(0, GALLERY).to_pylist()
    images = find_images(table, {*(one.sample_id for one in wrong), *(row["sample_id"] for row in unsure)})
    galleries: Mapping[str, list[tuple[int, int, int, float]]] = {
        "Wrong, with the highest loss": [(one.sample_id, one.true, one.predicted, one.probability) for one in wrong],
        "Least sure": [(row["sample_id"], row["label"], row["predicted"], row["probability"]) for row in unsure],
    }
    for title, rows in galleries.items():
        lines = [
            (
                classes[true] + ("" if true == guess else f" as {classes[guess]}"),
                f"{100 * probability:.0f}\N{NO-BREAK SPACE}%",
            )
            for _, true, guess, probability in rows
        ]
        if pictures := tuple(_pictures([images[sample_id] for sample_id, *_ in rows], lines)):
            yield Gallery(title, pictures)


def _pictures(
    images: Iterable[npt.NDArray[Any]], lines: Sequence[tuple[str, ...]], left: int = PICTURES
) -> Iterator[Figure]:
    """Yield pictures with their lines, as many as there is room for. Args: images: uint8 (rows, columns[, 3])."""
    from PIL import Image

    for pixels, words in zip(images, lines, strict=True):
        picture = Image.fromarray(pixels)
        if (step := -(-max(picture.size) // (SIDE if pixels.ndim == 2 else COLOUR_SIDE))) > 1:
            picture = picture.reduce(step)  # means of squares
        file = io.BytesIO()
        picture.save(file, "PNG")
        figure = Figure(f"data:image/png;base64,{_base64(file.getvalue())}", " ".join(words), words)
        left -= len(figure.address)
        if left < 0:
            return
        yield figure


def _stretched(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images of any range as uint8: their least value is 0, their largest 255."""
    import numpy as np

    low, high = images.min(initial=0), images.max(initial=0)
    scaled: npt.NDArray[Any] = np.rint((images - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    return scaled


def _svg(figure: bytes) -> str:
    return f"data:image/svg+xml;base64,{_base64(figure)}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _address(path: Path) -> str:
    """Return a file's address: a relative one below the working folder, where notebooks' servers give files out."""
    here = Path.cwd()
    return quote(path.relative_to(here).as_posix()) if path.is_relative_to(here) else path.absolute().as_uri()
