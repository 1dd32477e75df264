"""Two trainings compared by settings and held-out rows, as two trials of a sweep: nobody need have tested them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifacts.archive.lookup import MODEL as TRAIN
from artifacts.archive.lookup import TRAININGS, find_stored
from artifacts.archive.runs import read_run
from artifacts.keys import digest_of
from artifacts.store.bundles import spread_inputs
from artifacts.store.disk import disk
from artifacts.store.integrity import Stored
from artifacts.store.store import Store
from idxflow.comparing.comparison import Change, Difference, differences
from idxflow.comparing.significance import LEVEL
from schemas.errors import UsageError
from schemas.image_table import TABLE, Batch, ImageTable
from schemas.model import MODEL
from schemas.training import HISTORY, History, Training
from tasks.quality.paired import mcnemar

GONE = "the {what} of {which} is no longer in the store"


class Trained(BaseModel):
    """One of the two trainings, after the epoch that is kept."""

    model_config = ConfigDict(frozen=True)
    stage: str = Field(description="train, or begin where it ended early")
    version: str
    run: str = Field(description="id of the run that made it")
    dataset: str = Field(description="of that run; empty where its record is gone")
    epochs: int
    kept: int = Field(description="the epoch that it is kept from")
    weights: int | None = Field(description="None where it left no model")


class Figure(Change):
    """What both held-out rows came to: the accuracy in [0, 1], the loss in nats."""

    metric: Literal["accuracy", "loss"]


class HeldOutTest(BaseModel):
    """The held-out rows that exactly one of two models names right, and the exact McNemar test of them."""

    model_config = ConfigDict(frozen=True)
    rows: int = Field(description="held-out rows")
    b: int = Field(description="McNemar's b: rows that only A gets right")
    c: int = Field(description="McNemar's c: rows that only B gets right")
    p_value: float = Field(description="two-sided")
    level: float
    more_than_chance: bool = Field(description="p_value < level")


class TrainingComparison(BaseModel):
    """Two trainings compared; the document of `idxflow compare --json` for such."""

    model_config = ConfigDict(frozen=True)
    kind: Literal["trainings"] = "trainings"
    a: Trained
    b: Trained
    parameters: tuple[Difference, ...] = Field(description="configuration, and other parameters of the stage")
    data: tuple[Difference, ...] = Field(description="content digests of what they were made from")
    code: tuple[Difference, ...] = Field(description="digests of the files of code that they ran")
    figures: tuple[Figure, ...] = Field(description="of the held-out rows; empty where one of them has none")
    test: HeldOutTest | None = Field(description="row by row, of the held-out rows")
    no_test: str | None = Field(description="why these cannot be compared")

    def _repr_html_(self) -> str:
        """Return the verdict and the tables for a notebook."""
        from idxflow.views.notebook import trainings_html

        return trainings_html(self)

    def to_html(self) -> str:
        """Return it as one page that asks for nothing else."""
        from idxflow.views.notebook import standalone, trainings_html

        return standalone(f"{self.a.stage}/{self.a.version} and {self.b.stage}/{self.b.version}", trainings_html(self))


def compare_trainings(store: Store, a: Stored, b: Stored) -> TrainingComparison:
    """
    Compare two trainings by what is stored of them.

    Raises: UsageError: one is none.  ArtifactDamaged.  StoreError: the disk.
    """
    histories = [_history(each) for each in (a, b)]
    test = _held_out_test(store, a, b)
    return TrainingComparison(
        a=_side(store, a, histories[0]),
        b=_side(store, b, histories[1]),
        parameters=differences(*({"": each.manifest.parts.parameters} for each in (a, b))),
        data=differences(*({"": _inputs(store, each)} for each in (a, b))),
        code=differences(*({"": each.manifest.parts.code} for each in (a, b))),
        figures=_figures(*histories),
        test=test if isinstance(test, HeldOutTest) else None,
        no_test=test if isinstance(test, str) else None,
    )


def _inputs(store: Store, stored: Stored) -> dict[str, str]:
    """Return the content digest of each argument; of a table of several parts one of theirs, in their order."""
    found = dict[str, list[str]]()
    for each in spread_inputs(store, stored.manifest.inputs):
        found.setdefault(each.argument, []).append(each.digest)
    return {name: digests[0] if len(digests) == 1 else digest_of(digests) for name, digests in found.items()}


def _history(stored: Stored) -> History:
    if stored.ref.stage not in TRAININGS:
        raise UsageError(
            f"artifact {stored.ref.stage}/{stored.ref.version}",
            expected="a training, or a run",
            found=f"what {stored.ref.stage} left",
            way_out="`idxflow show` lists the versions of a run, and the trials of a sweep.",
        )
    with disk(stored.folder):
        return History.model_validate_json((stored.folder / HISTORY).read_bytes())


def _side(store: Store, stored: Stored, history: History) -> Trained:
    record = read_run(store, stored.manifest.run)
    return Trained(
        stage=stored.ref.stage,
        version=stored.ref.version,
        run=stored.manifest.run,
        dataset=record.dataset if record else "",
        epochs=len(history.epochs),
        kept=history.kept,
        weights=stored.manifest.summary.get("weights"),
    )


def _figures(a: History, b: History) -> tuple[Figure, ...]:
    one, other = (each.epochs[each.kept - 1] for each in (a, b))
    pairs: dict[Literal["accuracy", "loss"], tuple[float | None, float | None]] = {
        "accuracy": (one.validation_accuracy, other.validation_accuracy),
        "loss": (one.validation_loss, other.validation_loss),
    }
    return tuple(
        Figure(metric=metric, a=first, b=second)
        for metric, (first, second) in pairs.items()
        if first is not None and second is not None
    )


def _held_out_test(store: Store, a: Stored, b: Stored) -> HeldOutTest | str:
    """Have both models name the rows that neither was trained on, or say why that cannot be."""
    import numpy as np

    for name, each in (("A", a), ("B", b)):
        if each.ref.stage != TRAIN:
            return f"{name} ended early, and left no model"
    read: list[Any] = []
    for name, each in (("A", a), ("B", b)):
        told = _rows_and_network(store, each, name)
        if isinstance(told, str):
            return told
        read.append(told)
    (table, held, one), (other_table, other_held, other) = read
    if table != other_table or not np.array_equal(held, other_held):
        return "they hold out different rows"
    if not held.any():
        return "no row is held out"
    from tasks.evaluate import predict
    from tasks.fitting.rows import Rows

    rows, b_count, c_count = Rows(ImageTable(*table), held), 0, 0
    for group in range(len(rows.sizes)):
        pixels, labels = rows.group(group)
        batch = Batch(np.arange(len(labels), dtype=np.uint32), labels.astype(np.uint16), pixels)
        right, also = (predict(network, batch).predicted == labels for network in (one, other))
        b_count += int(np.count_nonzero(right & ~also))
        c_count += int(np.count_nonzero(also & ~right))
    p_value = mcnemar(b_count, c_count)
    return HeldOutTest(
        rows=len(rows), b=b_count, c=c_count, p_value=p_value, level=LEVEL, more_than_chance=p_value < LEVEL
    )


def _rows_and_network(store: Store, stored: Stored, which: str) -> Any:
    """Return the table that a model was trained on, which of its rows were held out, and the model; or why not."""
    from tasks.fitting.dealing import GROUPS, read_deal
    from tasks.fitting.holding import hold_out
    from tasks.inference.perceptron import Perceptron

    parameters, folders = stored.manifest.parts.parameters, dict[str, list[Path]](table=[], groups=[])
    for taken in spread_inputs(store, stored.manifest.inputs):
        if taken.argument in folders:
            found = find_stored(store, taken.stage, taken.version, fully=True)
            if found is None or found.ref.digest != taken.digest:
                what = "train table" if taken.argument == "table" else "groups of copies"
                return GONE.format(what=what, which=which)
            folders[taken.argument].append(found.folder)
    if not folders["table"] or find_stored(store, stored.ref.stage, stored.ref.version, fully=True) is None:
        return GONE.format(what="train table", which=which)
    try:
        training = Training.model_validate(parameters.get("training"))
    except ValidationError:
        return f"the configuration of {which} is another version's"
    with disk(store.home):
        deal = read_deal(folders["groups"][0] / GROUPS) if folders["groups"] else None
        table = ImageTable(*(folder / TABLE for folder in folders["table"]))
        held = hold_out(table, parameters["held_out"], training, deal)
        return table.paths, held.rows, Perceptron.read(stored.folder / MODEL)
