"""What report takes, made by the real stages from the bundled digits; a nearest-mean classifier is the model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from artifacts.ref import Ref
from schemas.catalog import load_dataset
from schemas.datasets import Dataset
from schemas.image_table import Batch, ImageTable
from schemas.results import Metrics
from schemas.training import EpochRow, History, Training
from tasks.decompress import decompress
from tasks.evaluate import write_predictions
from tasks.normalize import normalize
from tasks.parse import parse
from tasks.quality.scoring import Scores, score
from tasks.report import report
from tasks.validate import validate
from tasks.verify import verify
from tests.tasks import refs
from tests.tasks.measured import measured

BUNDLED = Path(__file__).parents[2] / "schemas" / "catalog" / "digits"


@dataclass(frozen=True)
class Inputs:
    """The arguments of the report stage, by their names."""

    dataset: Dataset
    training: Training
    proofs: list[Ref]
    tables: dict[str, Ref]
    profiles: dict[str, Ref]
    normalizer: Ref
    model: Ref
    scores: Ref

    def but(self, **changes: Any) -> Inputs:
        """Return these inputs with some of them changed."""
        return replace(self, **changes)

    def report(self, out: Path) -> str:
        """Run the stage into a new folder and return the page."""
        out.mkdir()
        report.function(**vars(self), out=out)
        return (out / "report.html").read_text(encoding="utf-8")


def bind(stage: str, folder: Path) -> Ref:
    """Return a reference to what lies in `folder`; each has a digest of its own."""
    return refs.bind(stage, folder, digest=hashlib.sha256(folder.name.encode()).hexdigest())


def write_scores(folder: Path, tables: dict[str, ImageTable], *, perfect: bool = False) -> Ref:
    """Score both tables by the distance to the mean image of each class, and leave what evaluate leaves."""
    folder.mkdir()
    read = {split: table.read() for split, table in tables.items()}
    classes = tables["train"].metadata.classes
    train = read["train"]
    means = np.array([train.image[train.label == label].mean(axis=0) for label in range(len(classes))])

    def scored(batch: Batch) -> Scores:
        distance = np.linalg.norm(batch.image[:, None, :] - means, axis=2) / 20
        closeness = np.eye(len(classes))[batch.label] * 9 if perfect else -distance
        weight = np.exp(closeness - closeness.max(axis=1, keepdims=True))
        return score((weight / weight.sum(axis=1, keepdims=True)).astype(np.float32), batch.label)

    scores = {split: scored(batch) for split, batch in read.items()}
    write_predictions(folder / "predictions.parquet", ((split, read[split], scores[split]) for split in read))
    metrics = Metrics(train=measured(scores["train"], classes), test=measured(scores["test"], classes, unseen=True))
    (folder / "metrics.json").write_text(metrics.model_dump_json())
    return bind("evaluate", folder)


def write_history(folder: Path, *, epochs: int = 4, held_out: bool = True, kept: int | None = None) -> Ref:
    """Leave the history of a training run that improves, whose model is from epoch `kept`, or of the last one."""
    folder.mkdir()
    rows = tuple(
        EpochRow(
            epoch=epoch,
            loss=1 / epoch,
            accuracy=1 - 0.5 / epoch,
            validation_loss=1.5 / epoch if held_out else None,
            validation_accuracy=1 - 0.6 / epoch if held_out else None,
        )
        for epoch in range(1, epochs + 1)
    )
    history = History(
        train_rows=1350, validation_rows=150 * held_out, updates=22 * epochs, kept=kept or epochs, epochs=rows
    )
    (folder / "history.json").write_text(history.model_dump_json())
    return bind("train", folder)


def build_inputs(home: Path, classes: tuple[str, ...] | None = None) -> Inputs:
    """Run the stages before report on the bundled digits, whose classes may be called otherwise."""
    described = load_dataset("digits").model_dump()
    for split in described["splits"].values():
        split["spec"]["classes"] = classes or split["spec"]["classes"]
    data = Dataset.model_validate(described)

    def folder(name: str) -> Path:
        (home / name).mkdir(parents=True)
        return home / name

    proofs, raw = {}, {}
    for file in data.files:
        archive = bind("download", folder(f"download {file.name}"))
        (home / f"download {file.name}" / file.name).write_bytes((BUNDLED / file.name).read_bytes())
        verify.function(file, archive, proof := folder(f"verify {file.name}"))
        proofs[file.name] = bind("verify", proof)
        decompress.function(file, archive, proofs[file.name], inflated := folder(f"decompress {file.name}"))
        raw[file.name] = bind("decompress", inflated)
    tables, profiles = dict[str, Ref](), dict[str, Ref]()
    for name, split in data.splits.items():
        images, labels = ([raw[file.name]] for file in split.files)
        parse.function(images, labels, split.spec, table := folder(f"parse {name}"))
        tables[name] = bind("parse", table)
        validate.function(
            tables[name], split.spec, data.checks, profiles.get("train"), to := folder(f"validate {name}")
        )
        profiles[name] = bind("validate", to)
    normalize.function(profiles["train"], fitted := folder("normalize"))
    opened = {name: ImageTable(ref.file()) for name, ref in tables.items()}
    return Inputs(
        dataset=data,
        training=Training(epochs=4),
        proofs=list(proofs.values()),
        tables=tables,
        profiles=profiles,
        normalizer=bind("normalize", fitted),
        model=write_history(home / "train"),
        scores=write_scores(home / "evaluate", opened),
    )
