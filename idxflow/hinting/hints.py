"""The hints of a run, under the names that people give to images and classes: for pages, JSON and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from artifacts.store.disk import disk
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from flows.run_record import RunRecord
from schemas.errors import UsageError
from schemas.results import PREDICTIONS
from schemas.source import FILES
from schemas.visible import cell
from tasks.formats.packed import PACK, Origins
from tasks.quality.hints import find_hints

COLUMNS = ("sample", "file", "split", "label", "predicted", "probability", "loss", "who", "why")
"""Of the CSV: those of `corrections.csv`, and what was found."""
TEST = ("parse", "test")
BY_HEART = 0.999
"""Share of train images named as they are labelled from which on a network may have learned wrong labels by heart."""


class LabelHint(BaseModel):
    """A train image whose label is worth a second look."""

    model_config = ConfigDict(frozen=True)
    sample: int = Field(description="its sample id")
    file: str = Field(description="the file that it came from; empty where that is not known")
    split: Literal["train"] = "train"
    label: str
    predicted: str
    probability: float = Field(description="of the predicted class, in [0, 1]")
    loss: float = Field(description="cross-entropy of the label, in nats")
    excess: float = Field(description="how far the loss is above the median of its class, in nats")


class LabelHints(BaseModel):
    """The document of `idxflow hints --json`."""

    model_config = ConfigDict(frozen=True)
    run: str
    dataset: str
    folds: int | None = Field(description="networks that had not seen the images; None: the run's own has")
    images: int = Field(description="train images")
    agreed: int = Field(description="those that are named as they are labelled")
    worth: int = Field(description="labels that are worth a second look")
    hints: tuple[LabelHint, ...] = Field(description="the first of them, the most doubtful label first")

    @property
    def by_heart(self) -> bool:
        """Whether the network may have learned wrong labels by heart."""
        return self.folds is None and self.agreed >= BY_HEART * self.images

    def _repr_html_(self) -> str:
        """Return the first hints for a notebook."""
        from idxflow.views.notebook import hints_html

        return hints_html(self)


def gather_hints(
    store: Store, record: RunRecord, scores: Stored, classes: tuple[str, ...], *, most: int, folds: int | None
) -> LabelHints:
    """
    Read the hints out of predictions.

    Args:
        scores:  evaluate's of the run, or crosscheck's; hashed in full.
        classes: names, in label order.
        most:    hints to return at most.
    """
    with disk(scores.folder):
        found = find_hints(scores.folder / PREDICTIONS, most)
        file_of = file_names(store, record)
    return LabelHints(
        run=record.id,
        dataset=record.dataset,
        folds=folds,
        images=found.images,
        agreed=found.agreed,
        worth=found.worth,
        hints=tuple(
            LabelHint(
                sample=one.sample_id,
                file=file_of(one.sample_id),
                label=classes[one.label],
                predicted=classes[one.predicted],
                probability=one.probability,
                loss=one.loss,
                excess=one.excess,
            )
            for one in found.first
        ),
    )


def file_names(store: Store, record: RunRecord) -> Callable[[int], str]:
    """
    Return what finds the name of the file that a train image of a run came from, by its sample id.

    It finds an empty name where the run packed nothing, as IDX files name none, or what it packed is gone.
    """
    folders = {
        row.stage: store.folder(row.stage, row.version) for row in record.stages if (row.stage, row.name) != TEST
    }
    packed, table = folders.get(PACK), folders.get("parse")
    if packed is None or table is None or not (packed / FILES).is_file():
        return lambda _: ""
    origins = Origins.at(packed / FILES, {"train": table})
    return partial(origins.name, "train")


def write_hints(path: Path, hints: LabelHints) -> None:
    """
    Write hints as CSV, which becomes a `corrections.csv` once its labels are changed; no cell of it is a formula.

    Raises: UsageError: there is such a file, which may hold a person's work, or none can be written there.
    """
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for one in hints.hints:
                figures = f"{one.probability:.6g}", f"{one.loss:.6g}"
                names = cell(one.file), one.split, cell(one.label), cell(one.predicted)
                writer.writerow((one.sample, *names, *figures, "", ""))
    except FileExistsError:
        way_out = "It may have been edited: name another, or delete it."
        raise UsageError(str(path), expected="a new file", found="one that is there", way_out=way_out) from None
    except OSError as error:
        way_out = "Name a file in a folder that can be written."
        raise UsageError(str(path), expected="a new file", found=str(error.strerror), way_out=way_out) from error
