"""Everything between the digits' files and the report of a model, with the contents that an export reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from artifacts.ref import Ref
from artifacts.store.store import Store
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.results import ClassMetrics, Metrics, SplitMetrics
from schemas.training import EpochRow, History, Training
from tests.artifacts.archive.making import make
from tests.idxflow.exporting.real_model import real_model

DIGITS = load_dataset("digits")
FINDING = "2 images are blank"


def metrics(accuracy: float = 0.9) -> Metrics:
    """Metrics of ten classes, the last of them the weakest."""
    classes = tuple(
        ClassMetrics(name=name, support=30, precision=0.9, recall=0.95 - int(name) / 100, f1=0.9)
        for name in DIGITS.classes
    )
    confusion = tuple(
        tuple(27 if row == column else int((row, column) == (9, 4)) * 3 for column in range(10)) for row in range(10)
    )
    test = SplitMetrics(
        samples=297, accuracy=accuracy, loss=0.3, classes=classes, confusion=confusion, halves=(0.9, 0.9),
        first_labels=(5, 0, 4), first_predictions=(5, 0, 9),
    )  # fmt: skip
    return Metrics(train=test.model_copy(update={"samples": 1500, "accuracy": 0.98}), test=test)


def history() -> History:
    """The history of one epoch."""
    return History(
        train_rows=1350, validation_rows=150, updates=22, kept=1, epochs=(EpochRow(epoch=1, loss=0.5, accuracy=0.9),)
    )


def table_of(store: Store, dataset: Dataset, split: Literal["train", "test"], mirror: str) -> tuple[list[Ref], Ref]:
    """Make the proofs and the table of one split."""
    proofs, raw = [], []
    for file in dataset.splits[split].files:
        file_alone: dict[str, Any] = {"parameters": {"file": file}}
        came: dict[str, Any] = {"bytes": file.bytes, "sha256": file.sha256, "mirror": mirror, "failures": []}
        archive = make(store, "download", file.name, files={file.name: b"gz"}, summary=came, **file_alone)
        proof = {"origin": "published"}
        proofs.append(make(store, "verify", file.name, inputs={"archive": archive}, summary=proof, **file_alone))
        raw.append(make(store, "decompress", file.name, inputs={"archive": archive, "proof": proofs[-1]}, **file_alone))
    spec = dataset.splits[split].spec
    files = {"table.parquet": real_model().table} if split == "test" else None
    return proofs, make(store, "parse", split, inputs={"files": raw}, parameters={"spec": spec}, files=files)


def model_line(
    store: Store, *, dataset: Dataset = DIGITS, mirror: str = "https://mirror.example/", model: bytes | None = None
) -> dict[str, Ref]:
    """
    Make every artifact of a run. Returns: the last of each stage, and the train table as `table`.

    Args: model: another `model.keras` than that of which the predictions are.
    """
    weights = real_model().model if model is None else model
    proofs, table = table_of(store, dataset, "train", mirror)
    more, test = table_of(store, dataset, "test", mirror)
    profile = make(store, "validate", "train", inputs={"table": table}, summary={"findings": [FINDING]})
    other = make(store, "validate", "test", inputs={"table": test, "reference": profile}, summary={"findings": []})
    normalizer = make(
        store, "normalize", inputs={"table": table, "profile": profile},
        files={"normalizer.json": b"{}", "mean.npy": b"mean"},
    )  # fmt: skip
    trained = make(
        store, "train", inputs={"table": table, "normalizer": normalizer}, parameters={"training": Training(epochs=1)},
        files={"model.keras": weights, "history.json": history().model_dump_json().encode(), "curve.csv": b""},
        summary={"weights": 6310},
    )  # fmt: skip
    scores = evaluation(store, {"model": trained, "train": table, "test": test})
    page = make(
        store, "report", parameters={"dataset": dataset, "training": Training(epochs=1)},
        inputs={
            "proofs": [*proofs, *more], "tables": {"train": table, "test": test},
            "profiles": {"train": profile, "test": other}, "normalizer": normalizer, "model": trained, "scores": scores,
        },
        files={"report.html": b"<p>", "loss.svg": b"<svg/>", "confusion.svg": b"<svg/>"},
    )  # fmt: skip
    return {ref.stage: ref for ref in (*more, test, other, normalizer, trained, scores, page)} | {"table": table}


def evaluation(store: Store, inputs: Mapping[str, Ref], accuracy: float = 0.9, **how: Any) -> Ref:
    """Make an evaluation of a model."""
    files = {"metrics.json": metrics(accuracy).model_dump_json().encode(), "confusion.csv": b"true class,0\n"}
    return make(
        store, "evaluate", inputs=inputs, files=files | {"predictions.parquet": real_model().predictions}, **how
    )
