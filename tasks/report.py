"""Report: one page that shows what was learned, how well, from what, and what was checked."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.ref import Ref
from artifacts.stage import stage
from schemas.counts import counted
from schemas.datasets import PROOF, Dataset, Proof
from schemas.image_table import ImageTable
from schemas.model import NORMALIZER, NormalizerFacts
from schemas.parameters import Summary
from schemas.results import LISTED, METRICS, PREDICTIONS, REPORT, STATISTICS, Metrics, SplitMetrics, Statistics
from schemas.source import FILES
from schemas.training import HISTORY, History, Training
from schemas.verdict import VERDICT, Verdict
from tasks.explaining.page import Cell, Confusion, Illustration, Mistake, Page, Setting, percent, render
from tasks.explaining.profiles import nearest_profile
from tasks.explaining.wrong import MOST, fill_cells
from tasks.explaining.wrong import SIDE as WRONG_SIDE
from tasks.fitting.dealing import GROUPS
from tasks.formats.ledger import fates
from tasks.formats.packed import Origins
from tasks.formats.table import Parts, digest_of_parts, open_table
from tasks.quality.hints import Hint, find_hints
from tasks.quality.near_pairs import PAIRS, NearLeaks, NearPair, read_leaks

Image = npt.NDArray[np.uint8]
MISTAKES = 12
CONFUSIONS = 8
NEAR = 20
"""Near pairs of a train and a test image that are shown at most."""
SIDE, COLOUR_SIDE = 256, 148
"""
Pixels of an image's longer side in a figure, at most: of a larger one means of squares of pixels are drawn.

In colour fewer, so that a page with a hundred classes is as large as one of grey images.
"""


def list_settings(training: Training, usual: dict[str, Any]) -> tuple[Setting, ...]:
    """
    Return a configuration as rows of a table, one per field that decides the result: those outside of the key may
    differ between two runs that share one page.

    Args: usual: the profile's values where it differs.
    """
    return tuple(
        Setting(name, _show(getattr(training, name)), field.description or "", _show(usual.get(name)))
        for name, field in Training.model_fields.items()
        if name not in Training.outside_key
    )


def _show(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(_show, value)) or "none"
    return str(value)


def most_confused(metrics: SplitMetrics, count: int = CONFUSIONS) -> tuple[Confusion, ...]:
    """Return the most frequent pairs of a true and a wrongly predicted class."""
    wrong = (one for one in metrics.pairs if one.true != one.predicted)
    return tuple(
        Confusion(
            metrics.classes[one.true].name,
            metrics.classes[one.predicted].name,
            one.images,
            metrics.classes[one.true].support,
        )
        for one in heapq.nsmallest(count, wrong, key=lambda one: -one.images)
    )


def worst_mistakes(predictions: Path, count: int = MISTAKES) -> tuple[Mistake, ...]:
    """Return the misclassified test images of `predictions.parquet` with the highest loss, a row group at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(predictions)
    worst = file.schema_arrow.empty_table()
    for group in range(file.num_row_groups):
        wrong = (pc.field("split") == "test") & (pc.field("label") != pc.field("predicted"))
        found = pa.concat_tables([worst, file.read_row_group(group).filter(wrong)])
        worst = found.sort_by([("loss", "descending"), ("sample_id", "ascending")]).slice(0, count)
    return tuple(
        Mistake(row["sample_id"], row["label"], row["predicted"], row["probability"], row["loss"])
        for row in worst.to_pylist()
    )


def first_of_each_class(table: ImageTable, classes: Collection[int]) -> dict[int, Image]:
    """
    Return the first image of each of some classes, all of which have one; reads no further.

    Returns: uint8 (rows, columns), in colour (rows, columns, 3), a large one made smaller (`shrink`), by class index,
             ascending.
    """
    found: dict[int, Image] = {}
    for batch in table.batches():
        for label, row in zip(*np.unique(batch.label, return_index=True), strict=True):
            if int(label) in classes and int(label) not in found:
                found[int(label)] = _image(table, batch.image[row])
        if len(found) == len(classes):
            break
    return dict(sorted(found.items()))


def wrong_cells(metrics: SplitMetrics, mistakes: Sequence[Mistake], table: ImageTable) -> tuple[Cell, ...]:
    """Return the cells of the confusion matrix with their wrong images; see `tasks.explaining.wrong.fill_cells`."""
    images = find_images(table, [one.sample_id for one in mistakes], WRONG_SIDE)
    return fill_cells([(one.true, one.predicted, one.images) for one in metrics.pairs], mistakes, images)


def find_images(table: ImageTable, sample_ids: Iterable[int], side: int | None = None) -> dict[int, Image]:
    """
    Return the images with these ids, uint8 (rows, columns), large ones made smaller (`shrink`).

    Sample ids count the rows of a table: only the row groups that have one of them are read.
    """
    wanted = np.array(sorted(sample_ids), np.int64)
    starts = np.cumsum((0, *table.group_sizes))
    found = {}
    for group in np.unique(np.searchsorted(starts, wanted, side="right") - 1).tolist():
        batch = table.group(group)
        for row in np.flatnonzero(np.isin(batch.sample_id, wanted)):
            found[int(batch.sample_id[row])] = _image(table, batch.image[row], side)
    return found


def shrink(image: Image, side: int | None = None) -> Image:
    """
    Return an image of `side` pixels a side at most: the same, or the mean of each square of pixels.

    Args: side: 256 where it is not given, in colour 148.

    The last squares are filled up with the pixels at the edge; each channel is for itself.
    """
    step = -(-max(image.shape[:2]) // (side or (SIDE if image.ndim == 2 else COLOUR_SIDE)))
    if step == 1:
        return image
    sides, channels = image.shape[:2], image.shape[2:]
    whole = np.pad(image, [(0, -side % step) for side in sides] + [(0, 0) for _ in channels], mode="edge")
    rows, columns = (side // step for side in whole.shape[:2])
    small: Image = np.rint(whole.reshape(rows, step, columns, step, *channels).mean(axis=(1, 3))).astype(np.uint8)
    return small


def _image(table: ImageTable, pixels: Image, side: int | None = None) -> Image:
    return shrink(
        pixels.reshape(table.metadata.shape.array), side
    ).copy()  # a view would keep its whole row group in memory


def illustrate(  # noqa: PLR0917 - what there is to draw
    history: History,
    metrics: Metrics,
    mistakes: tuple[Mistake, ...],
    tables: dict[str, ImageTable],
    hints: Sequence[Hint] = (),
    near: Sequence[NearPair] = (),
) -> dict[str, Illustration]:
    """Draw every figure, with what it shows in words."""
    from tasks.explaining.figures import (
        Picture,
        columns_of,
        draw_confusion,
        draw_curve,
        draw_pictures,
        draw_reliability,
        shorten,
    )

    test, classes = metrics.test, [one.name for one in metrics.test.classes]
    first, last = history.epochs[0], history.epochs[-1]
    kept = f" The model is from epoch {history.kept}." if history.kept < last.epoch else ""
    occurring = [label for label in metrics.train.largest(Page.SAMPLES) if metrics.train.classes[label].support]
    samples = first_of_each_class(tables["train"], occurring)
    told = (
        f"Confusion matrix of {counted(test.samples, 'test image')}, {percent(test.accuracy)} of them on the diagonal."
    )
    each = "each class" if len(classes) <= Page.SAMPLES else f"the {Page.SAMPLES} largest classes each"
    drawn: Sequence[int] = range(len(classes))
    if len(classes) > LISTED:
        drawn = test.largest(Page.DRAWN)
        told = f"{told} Shown are the {Page.DRAWN} largest of {len(classes):,} classes."
    figures = {
        "loss": Illustration(
            draw_curve(history, "loss"), f"Loss by epoch: train from {first.loss:.3f} to {last.loss:.3f}.{kept}"
        ),
        "accuracy": Illustration(
            draw_curve(history, "accuracy"),
            f"Accuracy by epoch: train from {percent(first.accuracy)} to {percent(last.accuracy)}.{kept}",
        ),
        "samples": Illustration(
            draw_pictures(
                [Picture(image, shorten(classes[label])) for label, image in samples.items()], columns_of(len(samples))
            ),
            f"One train image of {each}: {', '.join(classes[label] for label in samples)}.",
        ),
        "confusion": Illustration(
            draw_confusion(
                test.matrix(drawn),
                [classes[label] for label in drawn],
                [test.classes[label].support for label in drawn],
            ),
            told,
        ),
    }
    if test.calibration:
        figures["reliability"] = Illustration(
            draw_reliability(test.calibration),
            f"Share of right test predictions over their probability, in {len(test.calibration.bins)} bins: the mean "
            f"distance of the two is {100 * test.calibration.error:.1f} points.",
        )
    if mistakes:
        images = find_images(tables["test"], [mistake.sample_id for mistake in mistakes])
        pictures = [
            Picture(images[one.sample_id], f"{shorten(classes[one.true])}\nas {shorten(classes[one.predicted])}")
            for one in mistakes
        ]
        columns = 4
        shown = counted(len(pictures), "misclassified test image")
        alt = f"{shown} with the highest loss, as in the table that follows."
        figures["mistakes"] = Illustration(draw_pictures(pictures, columns), alt)
    if hints:
        images = find_images(tables["train"], [hint.sample_id for hint in hints])
        pictures = [
            Picture(images[one.sample_id], f"{shorten(classes[one.label])}\nor {shorten(classes[one.predicted])}?")
            for one in hints
        ]
        shown = counted(len(pictures), "train image")
        alt = f"{shown} with the most doubtful labels, as in the table that follows."
        figures["hints"] = Illustration(draw_pictures(pictures, 4), alt)
    if near:
        sides = (("train", [pair.train for pair in near]), ("test", [pair.test for pair in near]))
        of_train, of_test = (find_images(tables[split], set(samples)) for split, samples in sides)
        pictures = [
            each
            for pair in near
            for each in (
                Picture(of_train[pair.train], f"train\n{shorten(classes[pair.train_label])}"),
                Picture(of_test[pair.test], f"test\n{shorten(classes[pair.test_label])}"),
            )
        ]
        shown = counted(len(near), "pair")
        alt = f"{shown} of a train and a test image that are nearly equal, as in the table that follows."
        figures["near"] = Illustration(draw_pictures(pictures, 4), alt)
    return figures


class ReportSummary(Summary):
    """The page."""

    bytes: int


@stage(imports="tasks.explaining.figures")
def report(  # noqa: PLR0917 - it takes what every stage leaves
    dataset: Dataset,
    training: Training,
    proofs: list[Ref],
    tables: dict[str, Parts],
    profiles: dict[str, Ref],
    normalizer: Ref,
    model: Ref,
    scores: Ref,
    out: Path,
    packed: Ref | None = None,
    groups: Ref | None = None,
    verdict: Ref | None = None,
) -> ReportSummary:
    """Write the page, and its figures beside it. Versions of artifacts and packages are left to the manifests."""
    history = History.model_validate_json(model.file(HISTORY).read_bytes())
    metrics = Metrics.model_validate_json(scores.file(METRICS).read_bytes())
    wrong = worst_mistakes(scores.file(PREDICTIONS), MOST)
    mistakes = wrong[:MISTAKES]
    hints = find_hints(scores.file(PREDICTIONS), MISTAKES)
    profile, usual = nearest_profile(training)
    splits = ("train", "test")
    opened = {split: open_table(tables[split]) for split in splits}
    origins = Origins.of(packed, tables)
    near = read_leaks(groups.file(GROUPS), groups.file(PAIRS), NEAR) if groups else NearLeaks()
    figures = illustrate(history, metrics, mistakes, opened, hints.first, near.pairs)
    page = Page(
        dataset=dataset,
        training=training,
        profile=profile,
        settings=list_settings(training, usual),
        history=history,
        metrics=metrics,
        statistics={
            split: Statistics.model_validate_json(profiles[split].file(STATISTICS).read_bytes()) for split in splits
        },
        normalizer=NormalizerFacts.model_validate_json(normalizer.file(NORMALIZER).read_bytes()),
        proofs=tuple(Proof.model_validate_json(proof.file(PROOF).read_bytes()) for proof in proofs),
        contents={
            **{f"{split} table": digest_of_parts(tables[split]) for split in splits},
            **{f"{split} profile and statistics": profiles[split].digest for split in splits},
            "normaliser": normalizer.digest,
            "model and history": model.digest,
            "metrics and predictions": scores.digest,
        },
        confusions=most_confused(metrics.test),
        mistakes=mistakes,
        wrong=wrong_cells(metrics.test, wrong, opened["test"]),
        hints=hints,
        near=near,
        files=fates(packed.file(FILES)) if packed else {},
        origins=origins,
        figures=figures,
        verdict=Verdict.model_validate_json(verdict.file(VERDICT).read_bytes()) if verdict else None,
    )
    for name, figure in figures.items():
        (out / f"{name}.svg").write_bytes(figure.svg)
    target = out / REPORT
    target.write_text(render(page), encoding="utf-8", newline="\n")
    return ReportSummary(bytes=target.stat().st_size)
