"""A long history with learning curves and reports, as a year of work leaves it: for pages that show all of it."""

from __future__ import annotations

import math
import random
from typing import Any

from artifacts.ref import Ref
from artifacts.store.store import Store
from schemas.results import LEAKED, REPORT, Caveat
from schemas.training import HISTORY, EpochRow, History, Training
from tests.artifacts.archive.history import stage_record, write_run

SETS = ("mnist", "digits", "fashion-mnist")
HOURS = 7
"""Between two runs."""


def write_year(store: Store, runs: int = 1000, epochs: int = 50) -> None:
    """Write as many runs over three data sets: of each its record, its training's history, and a report."""
    draw = random.Random(1)
    for number in range(runs):
        dataset = SETS[0 if number % 5 < 3 else number % 5 - 2]
        settings: dict[str, Any] = {"seed": 123 + number % 3, "epochs": epochs}
        if number % 4 == 1:
            settings |= {"hidden": (100, 50)}
        if number % 7 == 2:
            settings = {"profile": "tuned", "seed": 123 + number % 3}
        training = Training.model_validate(settings)
        best = {"mnist": 0.962, "digits": 0.885, "fashion-mnist": 0.871}[dataset]
        best += (0.025 if training.profile == "tuned" else 0.0) + draw.gauss(0, 0.002) - 0.004 * math.exp(-number / 200)
        state = "failed" if number % 61 == 60 else "interrupted" if number % 97 == 96 else "completed"
        if number % 211 == 210:
            best = 0.1  # one that has learned nothing
        version = f"{number:016x}"
        train, report = (
            Ref(stage=stage, name="", version=version, digest="", manifest="") for stage in ("train", "report")
        )
        write_run(
            store,
            f"{(number * 2_654_435_761) % 2**48:012x}",
            [stage_record(train, cached=number % 2 == 1), stage_record(report)] if state == "completed" else [],
            minute=60 * HOURS * number,
            sequence=number + 1,
            state=state,
            dataset=dataset,
            accuracy=best,
            training=training,
            caveats=(Caveat(kind=LEAKED, message="Some of the test images are known."),) if number % 53 == 7 else (),
        )
        if state == "completed":
            folder = store.folder("train", version)
            folder.mkdir(parents=True)
            (folder / HISTORY).write_text(_history(training.epochs, best, draw).model_dump_json())
            page = store.folder("report", version) / REPORT
            page.parent.mkdir(parents=True)
            page.write_text(f"<title>report of {number}</title>")


def _history(epochs: int, best: float, draw: random.Random) -> History:
    rows = []
    for epoch in range(1, epochs + 1):
        share = best * (1 - math.exp(-(epoch + 2) / 6)) + draw.gauss(0, 0.001)
        held_out = min(1.0, max(0.0, share))
        rows.append(
            EpochRow(
                epoch=epoch,
                loss=2.3 * math.exp(-epoch / 9) + 0.05,
                accuracy=min(1.0, held_out + 0.02),
                validation_loss=2.3 * math.exp(-epoch / 7) + 0.13,
                validation_accuracy=held_out,
            )
        )
    return History(train_rows=54_000, validation_rows=6_000, updates=844 * epochs, kept=epochs, epochs=tuple(rows))
