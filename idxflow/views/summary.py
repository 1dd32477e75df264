"""The closing summary of a run: the figures, what was cached, and where everything is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from artifacts.manifest import Manifest
from flows.run_record import RunRecord
from idxflow.views.console import CAVEAT, Console
from schemas.image_spec import ImageSpec
from schemas.results import METRICS, Metrics, unsaid
from schemas.text import counted, duration, share


def print_summary(console: Console, record: RunRecord, home: Path, stop_server: str | None = None) -> None:
    """
    Print what a run did; its warnings once more, where they have scrolled away.

    Args: stop_server: the command that stops the server which this run started, if it did.
    """
    console.line()
    for label, value in (*_figures(record), *_places(record, home, stop_server)):
        console.fact(label, value)
    for warning in unsaid(record.warnings, record.caveats):
        console.remind(warning)


def _figures(record: RunRecord) -> Iterator[tuple[str, str]]:
    cached = sum(stage.cached for stage in record.stages)
    counts = f"{counted(len(record.stages), 'stage')}: {cached} cached, {len(record.stages) - cached} computed"
    yield (
        "Run",
        f"{record.dataset}, {record.profile} profile, seed {record.seed}: {record.state} in "
        + duration(record.seconds),
    )
    yield "Artifacts", counts
    folders = {(stage.stage, stage.name): Path(stage.path) for stage in record.stages}
    if record.state != "completed" or ("evaluate", "") not in folders:
        return
    rows = labels = None
    with suppress(OSError, ValidationError):  # whoever has taken it away since, the run did complete
        metrics = Metrics.model_validate_json((folders["evaluate", ""] / METRICS).read_bytes())
        table = Manifest.model_validate_json((folders["parse", "train"] / "manifest.json").read_bytes())
        rows, labels = _rows(metrics, ImageSpec.model_validate(table.summary["shape"])), _labels(metrics)
    if rows:
        yield "Train rows", rows
    if record.held_out:
        yield "Held out", str(record.held_out)
    if labels:
        yield "First 3 labels", labels
    train, test = record.metrics["train"], record.metrics["test"]
    yield "Train accuracy", f"{share(train.accuracy)} (loss {train.loss:.4f})"
    yield "Test accuracy", f"{share(test.accuracy)} (loss {test.loss:.4f})"
    for caveat in record.caveats:
        yield CAVEAT, caveat.message


def _places(record: RunRecord, home: Path, stop_server: str | None) -> Iterator[tuple[str, str]]:
    if record.model:
        yield "Model", short_path(Path(record.model))
    if record.report:
        yield "Report", short_path(Path(record.report))
    yield "Record", short_path(home / "runs" / f"{record.id}.json")
    if record.dashboard:
        yield "Dashboard", record.dashboard
    if stop_server:
        yield "Stop the server", stop_server


def _rows(metrics: Metrics, shape: ImageSpec) -> str:
    pixels = f"columns: {shape.pixels} ({shape} pixels)"
    return f"{metrics.train.samples}, {pixels}; test rows: {metrics.test.samples}"


def _labels(metrics: Metrics) -> str:
    train = metrics.train
    return f"{_names(metrics, train.first_labels)}; predictions: {_names(metrics, train.first_predictions)}"


def _names(metrics: Metrics, labels: tuple[int, ...]) -> str:
    return ", ".join(metrics.train.classes[label].name for label in labels)


def short_path(path: Path) -> str:
    """Return a path as seen from the working folder when it lies below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
